"""Greedy non-maximum suppression with a fixed number of outputs, and without a loop over boxes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxvision.ops import boxes as box_ops

_BLOCK = 256  # boxes settled together


class _Ranked(NamedTuple):
    """The boxes of B images, best first. Coordinates lead, so that compiled loops over boxes read them in sequence."""

    corners: Float[Array, "B 4 N"]
    classes: Int[Array, "B N"]
    usable: Bool[Array, "B N"]


class _Kept(NamedTuple):
    """The ranks that survived so far: those in the first `filled` slots of each image."""

    block: Int[Array, ""]  # the next one to settle
    ranks: Int[Array, "B N"]
    filled: Int[Array, "B"]


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
    Batches go in whole, not through `vmap`: blocks of boxes are visited best first until every image has K, so memory
    grows with N and not with N².

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
    order = jnp.argsort(jnp.where(usable, -scores.astype(jnp.float32), jnp.inf), axis=-1, stable=True)
    order = _pad(order.reshape(-1, count), -(-count // _BLOCK) * _BLOCK)
    ranked = _take(
        _Ranked(
            boxes.astype(jnp.float32).reshape(-1, count, 4).transpose(0, 2, 1),
            classes.reshape(-1, count),
            usable.reshape(-1, count),
        ),
        order,
    )
    real = jnp.arange(order.shape[1]) < count
    kept = _suppress(ranked._replace(usable=ranked.usable & real[None]), iou_threshold, max_outputs)
    filled = jnp.arange(max_outputs)[None] < kept.filled[:, None]
    ranks = jnp.where(filled, _pad(kept.ranks, max_outputs)[:, :max_outputs], 0)
    indices = jnp.where(filled, jnp.take_along_axis(order, ranks, axis=1), 0)
    return indices.reshape(*batch, max_outputs), filled.reshape(*batch, max_outputs)


def _suppress(ranked: _Ranked, threshold: float, enough: int) -> _Kept:
    """Return the ranks that are kept, among the leading blocks that yield `enough` of them in every image."""
    batch, length = ranked.usable.shape

    def unfinished(kept: _Kept) -> Bool[Array, ""]:
        # Boxes that are not usable rank last: where one leads a block, its image is through.
        going = (kept.filled < enough) & ranked.usable[:, jnp.minimum(kept.block * _BLOCK, length - 1)]
        return (kept.block < length // _BLOCK) & going.any()

    def settle(kept: _Kept) -> _Kept:
        ranks = jnp.broadcast_to(kept.block * _BLOCK + jnp.arange(_BLOCK)[None], (batch, _BLOCK))
        block = _take(ranked, ranks)

        def drop(part: Int[Array, ""], alive: Bool[Array, "B K"]) -> Bool[Array, "B K"]:
            better = _take(ranked, jax.lax.dynamic_slice_in_dim(kept.ranks, part * _BLOCK, _BLOCK, axis=1))
            filled = (part * _BLOCK + jnp.arange(_BLOCK))[None] < kept.filled[:, None]
            return alive & ~_hit(filled, _overlap(better, block, threshold))

        # Only survivors suppress: where boxes crowd they are few, and so are the parts to go through.
        parts = -(-kept.filled.max() // _BLOCK)
        alive = jax.lax.fori_loop(0, parts, drop, block.usable)
        return _append(kept, ranks, _fixed_point(alive, _overlap(block, block, threshold)))

    none = _Kept(jnp.int32(0), jnp.zeros((batch, length), jnp.int32), jnp.zeros(batch, jnp.int32))
    return jax.lax.while_loop(unfinished, settle, none)


def _fixed_point(alive: Bool[Array, "B K"], overlap: Bool[Array, "B K K"]) -> Bool[Array, "B K"]:
    """Iterate `keep = alive and no better kept box overlaps`: box i is final after i rounds, mostly after three."""
    rank = jnp.arange(alive.shape[-1])
    better = overlap & (rank[:, None] < rank[None, :])[None]

    def refine(carry: tuple[Bool[Array, "B K"], Bool[Array, ""]]) -> tuple[Bool[Array, "B K"], Bool[Array, ""]]:
        keep, _ = carry
        refined = alive & ~_hit(keep, better)
        return refined, (refined != keep).any()

    return jax.lax.while_loop(lambda carry: carry[1], refine, (alive, jnp.bool_(True)))[0]


def _append(kept: _Kept, ranks: Int[Array, "B K"], settled: Bool[Array, "B K"]) -> _Kept:
    end = kept.ranks.shape[1]
    slots = jnp.where(settled, kept.filled[:, None] + jnp.cumsum(settled, axis=1) - 1, end)
    image = jnp.arange(kept.ranks.shape[0])[:, None]
    appended = kept.ranks.at[image, slots].set(ranks, mode="drop")
    return _Kept(kept.block + 1, appended, kept.filled + settled.sum(axis=1, dtype=jnp.int32))


def _overlap(better: _Ranked, worse: _Ranked, threshold: float) -> Bool[Array, "B K K"]:
    iou = box_ops.iou(better.corners.transpose(0, 2, 1), worse.corners.transpose(0, 2, 1))
    return (better.classes[:, :, None] == worse.classes[:, None, :]) & (iou > threshold)


def _hit(keep: Bool[Array, "B K"], overlap: Bool[Array, "B K K"]) -> Bool[Array, "B K"]:
    """Return which boxes of the second axis overlap one of the first that is kept."""
    return (overlap & keep[:, :, None]).any(axis=1)


def _take(ranked: _Ranked, ranks: Int[Array, "B K"]) -> _Ranked:
    return _Ranked(
        jnp.take_along_axis(ranked.corners, ranks[:, None], axis=2),
        jnp.take_along_axis(ranked.classes, ranks, axis=1),
        jnp.take_along_axis(ranked.usable, ranks, axis=1),
    )


def _pad(array: Int[Array, "B _"], length: int) -> Int[Array, "B _"]:
    return jnp.pad(array, ((0, 0), (0, max(length - array.shape[1], 0))))
