"""A fixed number of proposals from a region proposal network's output (Ren et al. 2015, section 3.3)."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxvision.ops import boxes as box_ops
from jaxvision.ops.nms import nms
from jaxvision.ops.selection import top_k


class Level(NamedTuple):
    """The network's output for each anchor of one feature map, in the order of `anchors.grid`."""

    logits: Float[Array, "B A"]  # of being an object
    offsets: Float[Array, "B A 4"]  # from each anchor to its object, as `boxes.encode` gives them
    anchors: Float[Array, "A 4"]  # corners in pixels


class Proposals(NamedTuple):
    """R slots an image, the best first; slots that are not valid are empty."""

    boxes: Float[Array, "B R 4"]  # corners in pixels
    scores: Float[Array, "B R"]  # probabilities of being an object
    valid: Bool[Array, "B R"]  # which slots hold a proposal


def propose(
    levels: Sequence[Level],
    size: Float[Array, "B 2"],
    *,
    before_nms: int,
    after_nms: int,
    iou_threshold: float,
    min_side: Float[Array, "B"],
) -> Proposals:
    """Return the best anchors of each level, moved by their offsets, clipped to the image and suppressed.

    Levels do not suppress each other. No gradient passes: approximate joint training takes proposals as given.

    Args:
        levels: the network's output for each feature map.
        size: each image's true `(height, width)` on the canvas.
        before_nms: the anchors of each level that are kept for their score.
        after_nms: R, the proposals of an image.
        iou_threshold: the IoU above which a better box suppresses another one.
        min_side: the side in pixels below which each image's boxes are dropped.

    Returns:
        The proposals.
    """
    parts = [_best(level, before_nms) for level in levels]
    boxes, logits = (jnp.concatenate(part, axis=1) for part in zip(*parts, strict=True))
    number = jnp.concatenate([jnp.full(part.shape[1], i, jnp.int32) for i, (_, part) in enumerate(parts)])
    boxes, scores = box_ops.clip(boxes, size), jax.nn.sigmoid(logits.astype(jnp.float32))
    shorter = jnp.minimum(boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1])
    indices, valid = nms(
        boxes,
        scores,
        iou_threshold=iou_threshold,
        max_outputs=after_nms,
        valid=box_ops.valid(boxes) & (shorter >= min_side[:, None]),
        classes=jnp.broadcast_to(number[None], scores.shape),
    )
    kept = jnp.take_along_axis(boxes, indices[..., None], axis=1)
    return Proposals(kept, jnp.take_along_axis(scores, indices, axis=1), valid)


def _best(level: Level, count: int) -> tuple[Float[Array, "B K 4"], Float[Array, "B K"]]:
    logits, offsets, anchors = jax.lax.stop_gradient(level)
    best, indices = top_k(logits, min(count, logits.shape[1]))
    offsets = jnp.take_along_axis(offsets, indices[..., None], axis=1)
    return box_ops.decode(offsets, anchors[indices]), best
