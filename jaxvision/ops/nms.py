"""Greedy non-maximum suppression with a fixed number of outputs.

On an accelerator every loop has a fixed number of rounds, so that the host, which starts their kernels, waits for none
of them. B is the number of images, N that of boxes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from jaxvision.ops import boxes as box_ops
from jaxvision.ops.dispatch import dispatch
from jaxvision.ops.selection import first_true

_WORD = 32  # boxes settled together: as many as a number has bits


class Boxes(NamedTuple):
    """The boxes of B images. Coordinates lead, so that compiled loops over boxes read them in sequence."""

    corners: Float[Array, "B 4 N"]
    classes: Int[Array, "B N"]
    usable: Bool[Array, "B N"]


def nms(
    boxes: Float[Array, "*b N 4"],
    scores: Float[Array, "*b N"],
    *,
    iou_threshold: float,
    max_outputs: int,
    valid: Bool[Array, "*b N"] | None = None,
    classes: Int[Array, "*b N"] | None = None,
) -> tuple[Int[Array, "*b K"], Bool[Array, "*b K"]]:
    """Return the indices of the boxes that greedy suppression keeps, best first.

    A box is dropped when its IoU with a kept box of higher score is *above* the threshold; equal scores rank by index.
    Batches go in whole, not through `vmap`. Memory grows with N and not with N².

    Args:
        boxes: corners in pixels.
        scores: the score of each box.
        iou_threshold: the IoU above which a better box suppresses another one.
        max_outputs: K, the number of slots.
        valid: which boxes count; all others, and any with a NaN or infinity in box or score, are neither kept nor do
            they suppress.
        classes: of each box; only boxes of one class (or one pyramid level) suppress each other. Without it all boxes
            do.

    Returns:
        The index in each of the K slots, 0 in empty ones, and which slots are filled.

    Example:
        >>> boxes = jnp.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0], [6.0, 6.0, 9.0, 9.0]])
        >>> kept, filled = nms(boxes, jnp.array([0.9, 0.8, 0.7]), iou_threshold=0.5, max_outputs=3)
        >>> kept.tolist(), filled.tolist()
        ([0, 2, 0], [True, True, False])
    """
    batch, count = scores.shape[:-1], scores.shape[-1]
    usable = jnp.isfinite(scores) & jnp.isfinite(boxes).all(axis=-1)
    usable = usable if valid is None else usable & valid
    classes = jnp.zeros(scores.shape, jnp.int32) if classes is None else classes
    given = Boxes(
        boxes.astype(jnp.float32).reshape(-1, count, 4).transpose(0, 2, 1),
        classes.reshape(-1, count),
        usable.reshape(-1, count),
    )
    ranks = jnp.where(usable, scores.astype(jnp.float32), -jnp.inf).reshape(-1, count)
    indices, filled = dispatch(
        given, ranks, cpu="nms.suppress", default=suppress, threshold=iou_threshold, slots=max_outputs
    )
    indices = jnp.where(filled, indices, 0)
    return indices.reshape(*batch, max_outputs), filled.reshape(*batch, max_outputs)


def suppress(
    boxes: Boxes, scores: Float[Array, "B N"], threshold: float, slots: int
) -> tuple[Int[Array, "B K"], Bool[Array, "B K"]]:
    """Return the boxes that are kept, by whichever of two ways has fewer rounds.

    Args:
        boxes: the boxes.
        scores: of each box; those of boxes that are not usable are less than all others.
        threshold: the IoU above which a better box suppresses another one.
        slots: K.

    Returns:
        A box in each slot, the best first, and which slots hold one.
    """
    one_by_one = slots * _WORD <= scores.shape[1]
    return (_by_slot if one_by_one else _by_word)(boxes, scores, threshold, slots)


def _by_slot(
    boxes: Boxes, scores: Float[Array, "B N"], threshold: float, slots: int
) -> tuple[Int[Array, "B K"], Bool[Array, "B K"]]:
    """Fill a slot in each round with the best box that is left, and drop what it suppresses: no sort is needed."""
    number = jnp.arange(scores.shape[1])[None]

    def fill(alive: Bool[Array, "B N"], _: None) -> tuple[Bool[Array, "B N"], tuple[Array, Array]]:
        best = jnp.where(alive, scores, -jnp.inf).argmax(axis=1)[:, None]
        filled = jnp.take_along_axis(alive, best, axis=1)
        dropped = overlap(take(boxes, best), boxes, threshold)[:, 0] | (number == best)
        return alive & ~(dropped & filled), (best[:, 0], filled[:, 0])

    _, (indices, filled) = jax.lax.scan(fill, boxes.usable, None, length=slots)
    return indices.T, filled.T


def _by_word(
    boxes: Boxes, scores: Float[Array, "B N"], threshold: float, slots: int
) -> tuple[Int[Array, "B K"], Bool[Array, "B K"]]:
    """Settle the next 32 boxes of each image in each round, and drop what the kept ones of them suppress."""
    order, ranked = best_first(boxes, scores, _WORD)
    number = jnp.arange(order.shape[1])

    def settle(alive: Bool[Array, "B M"], word: Int[Array, ""]) -> tuple[Bool[Array, "B M"], None]:
        first = word * _WORD
        some = Boxes(*(jax.lax.dynamic_slice_in_dim(a, first, _WORD, axis=-1) for a in ranked))
        waiting = _packed(jax.lax.dynamic_slice_in_dim(alive, first, _WORD, axis=-1))
        kept = _unpacked(_settled(waiting, _packed(overlap(some, some, threshold))))
        dropped = hit(kept, overlap(some, ranked, threshold)) & (number >= first + _WORD)[None]
        return jax.lax.dynamic_update_slice_in_dim(alive & ~dropped, kept, first, axis=-1), None

    alive, _ = jax.lax.scan(settle, ranked.usable, jnp.arange(order.shape[1] // _WORD))
    filled = jnp.arange(slots)[None] < alive.sum(axis=1, keepdims=True)
    return jnp.take_along_axis(order, first_true(alive, slots), axis=1), filled


def best_first(boxes: Boxes, scores: Float[Array, "B N"], block: int) -> tuple[Int[Array, "B M"], Boxes]:
    """Sort boxes by falling score.

    Args:
        boxes: the boxes.
        scores: of each box; equal ones rank by index.
        block: M is the next multiple of it.

    Returns:
        The index of each box, and the boxes; those beyond N are not usable.
    """
    count = scores.shape[1]
    order = jnp.pad(jnp.argsort(-scores, axis=-1, stable=True), ((0, 0), (0, -count % block)))
    ranked = take(boxes, order)
    real = jnp.arange(order.shape[1]) < count
    return order, ranked._replace(usable=ranked.usable & real[None])


def _settled(alive: UInt32[Array, " B"], overlaps: UInt32[Array, "B W"]) -> UInt32[Array, " B"]:
    """Go through the bits of `alive`, the best box's first; each that is still set clears those that overlap it."""

    def clear(alive: UInt32[Array, " B"], box: tuple[Array, Array]) -> tuple[UInt32[Array, " B"], None]:
        bit, overlapped = box
        later = ~(bit | (bit - 1))
        return jnp.where((alive & bit) != 0, alive & ~(overlapped & later), alive), None

    each = jnp.uint32(1) << jnp.arange(_WORD, dtype=jnp.uint32), overlaps.T
    return jax.lax.scan(clear, alive, each, unroll=_WORD)[0]  # unrolled it is one kernel


def _packed(flags: Bool[Array, "*b W"]) -> UInt32[Array, "*b"]:
    bits = jnp.uint32(1) << jnp.arange(_WORD, dtype=jnp.uint32)
    bits = bits.reshape((1,) * (flags.ndim - 1) + (-1,))
    return jnp.where(flags, bits, 0).sum(axis=-1, dtype=jnp.uint32)


def _unpacked(word: UInt32[Array, " B"]) -> Bool[Array, "B W"]:
    return ((word[:, None] >> jnp.arange(_WORD, dtype=jnp.uint32)[None]) & 1) != 0


def overlap(better: Boxes, worse: Boxes, threshold: float) -> Bool[Array, "B K L"]:
    """Return which boxes suppress which others, if they are kept and better.

    Args:
        better: K boxes an image.
        worse: L boxes an image.
        threshold: the IoU above which they do.
    """
    iou = box_ops.iou(better.corners.transpose(0, 2, 1), worse.corners.transpose(0, 2, 1))
    return (better.classes[:, :, None] == worse.classes[:, None, :]) & (iou > threshold)


def hit(keep: Bool[Array, "B K"], overlaps: Bool[Array, "B K L"]) -> Bool[Array, "B L"]:
    """Return which boxes of the second axis overlap one of the first that is kept."""
    return (overlaps & keep[:, :, None]).any(axis=1)


def take(boxes: Boxes, indices: Int[Array, "B K"]) -> Boxes:
    """Return the boxes of these indices."""
    return Boxes(
        jnp.take_along_axis(boxes.corners, indices[:, None], axis=2),
        jnp.take_along_axis(boxes.classes, indices, axis=1),
        jnp.take_along_axis(boxes.usable, indices, axis=1),
    )
