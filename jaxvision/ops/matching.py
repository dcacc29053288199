"""Assignment of objects to anchors and proposals by IoU (Ren et al. 2015, sec. 3.1.2; Girshick 2015, sec. 2.3)."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxvision.ops import boxes as box_ops

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
_TIE = 1e-6  # relative; equal overlaps differ by rounding when the anchors lie at different places


class Match(NamedTuple):
    """The assignment of each of N boxes."""

    target: Int[Array, "*b N"]  # the object each box overlaps most, whatever its label
    label: Int[Array, "*b N"]  # POSITIVE, NEGATIVE or IGNORED


def match(
    iou: Float[Array, "*b N G"],
    objects: Bool[Array, "*b G"],
    *,
    low: float,
    high: float,
    best_for_object: bool = False,
    usable: Bool[Array, "*b N"] | None = None,
) -> Match:
    """Label boxes by their best IoU with real objects: positive from `high` on, negative below `low`, else ignored.

    Without real objects all usable boxes are negative.

    Args:
        iou: of each box with each object.
        objects: which objects are real, not padding.
        low: the IoU below which boxes are negative.
        high: the IoU from which on boxes are positive.
        best_for_object: whether every box tied at an object's highest IoU is positive too. Such a box still keeps the
            object that it overlaps most itself as its target, and an object that no box overlaps forces none.
        usable: which boxes take part; all others (cross-boundary anchors) are ignored and are no object's best.

    Returns:
        The object and the label of each box.

    Example:
        >>> iou = jnp.array([[0.8], [0.1]])  # two boxes, one object
        >>> match(iou, jnp.array([True]), low=0.3, high=0.7).label.tolist()
        [1, 0]
    """
    real = objects[..., None, :] if usable is None else objects[..., None, :] & usable[..., :, None]
    iou = jnp.where(real, iou, -1.0)
    best = iou.max(axis=-1)
    label = jnp.where(best >= high, POSITIVE, jnp.where(best < low, NEGATIVE, IGNORED))
    if best_for_object:
        highest = iou.max(axis=-2, keepdims=True)
        forced = (iou > 0) & (iou >= highest * (1 - _TIE))
        label = jnp.where(forced.any(axis=-1), POSITIVE, label)
    if usable is not None:
        label = jnp.where(usable, label, IGNORED)
    return Match(iou.argmax(axis=-1), label)


def ignore_covered(
    label: Int[Array, "*b N"],
    boxes: Float[Array, "*b N 4"],
    regions: Float[Array, "*b G 4"],
    real: Bool[Array, "*b G"],
    *,
    threshold: float = 0.5,
) -> Int[Array, "*b N"]:
    """Ignore negatives that lie mostly in a crowd region.

    IoU would be the wrong measure: a small anchor inside a large crowd has next to none.

    Args:
        label: of each box, as `match` gives it.
        boxes: corners in pixels.
        regions: corners of crowds, in pixels.
        real: which regions are real, not padding.
        threshold: the share of the box's own area that a region must cover.

    Returns:
        The labels, with IGNORED for these boxes.
    """
    covered = (box_ops.intersection_over_area(boxes, regions) >= threshold) & real[..., None, :]
    return jnp.where((label == NEGATIVE) & covered.any(axis=-1), IGNORED, label)
