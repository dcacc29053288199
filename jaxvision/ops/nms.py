"""Greedy non-maximum suppression with a fixed number of answers, and without a loop over boxes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxvision.ops import boxes as box_ops

_BLOCK = 256  # boxes settled together; 128 to 512 run alike on CPUs


class _Ranked(NamedTuple):
    """B images' boxes, best first, padded to whole blocks."""

    boxes: Float[Array, "B N 4"]
    classes: Int[Array, "B N"]
    usable: Bool[Array, "B N"]

    def block(self, index: Int[Array, ""]) -> "_Ranked":
        return _Ranked(*(_block(array, index) for array in self))


def nms(
    boxes: Float[Array, "*b N 4"],
    scores: Float[Array, "*b N"],
    *,
    iou_threshold: float,
    max_outputs: int,
    valid: Bool[Array, "*b N"] | None = None,
    classes: Int[Array, "*b N"] | None = None,
) -> tuple[Int[Array, "*b K"], Bool[Array, "*b K"]]:
    """Indices of the boxes that greedy suppression keeps, best first, and which of the K slots are filled.

    A box goes when its IoU with a kept box of higher score is *above* the threshold; equal scores rank by index. With
    `classes`, only boxes of one class (or one pyramid level) suppress each other. Boxes that are not `valid`, and any
    with a NaN or infinity in box or score, are neither kept nor do they suppress. Empty slots hold index 0.

    Batches go in whole, not through `vmap`: blocks of boxes are visited best first until every image has K, so memory
    grows with N and not with N².
    """
    batch, count = scores.shape[:-1], scores.shape[-1]
    usable = jnp.isfinite(scores) & jnp.isfinite(boxes).all(axis=-1)
    usable = usable if valid is None else usable & valid
    classes = jnp.zeros(scores.shape, jnp.int32) if classes is None else classes
    order = jnp.argsort(jnp.where(usable, -scores.astype(jnp.float32), jnp.inf), axis=-1, stable=True)
    order = order.reshape(-1, count)
    arrays = (boxes.astype(jnp.float32).reshape(-1, count, 4), classes.reshape(-1, count), usable.reshape(-1, count))
    kept = _suppress(_Ranked(*(_rank(array, order) for array in arrays)), iou_threshold, max_outputs)
    slots = _pad(jnp.argsort(~kept, axis=-1, stable=True), max_outputs)[:, :max_outputs]
    filled = jnp.take_along_axis(kept, slots, axis=-1) & (jnp.arange(max_outputs) < kept.shape[-1])[None, :]
    index = jnp.take_along_axis(order, jnp.where(filled, slots, 0), axis=-1)
    return jnp.where(filled, index, 0).reshape(*batch, max_outputs), filled.reshape(*batch, max_outputs)


def _suppress(ranked: _Ranked, threshold: float, enough: int) -> Bool[Array, "B N"]:
    """Which boxes are kept, among the leading blocks that yield `enough` of them in every image."""
    blocks = ranked.usable.shape[-1] // _BLOCK

    def unfinished(carry: tuple[Int[Array, ""], Bool[Array, "B N"]]) -> Bool[Array, ""]:
        index, kept = carry
        return (index < blocks) & (kept.sum(axis=-1) < enough).any()

    def settle(carry: tuple[Int[Array, ""], Bool[Array, "B N"]]) -> tuple[Int[Array, ""], Bool[Array, "B N"]]:
        index, kept = carry
        block = ranked.block(index)

        def drop(earlier: Int[Array, ""], alive: Bool[Array, "B K"]) -> Bool[Array, "B K"]:
            overlap = _overlap(ranked.block(earlier), block, threshold)
            return alive & ~(overlap & _block(kept, earlier)[:, :, None]).any(axis=-2)

        alive = jax.lax.fori_loop(0, index, drop, block.usable)
        settled = _fixed_point(alive, _overlap(block, block, threshold))
        return index + 1, jax.lax.dynamic_update_slice_in_dim(kept, settled, index * _BLOCK, axis=1)

    return jax.lax.while_loop(unfinished, settle, (jnp.int32(0), jnp.zeros_like(ranked.usable)))[1]


def _fixed_point(alive: Bool[Array, "B K"], overlap: Bool[Array, "B K K"]) -> Bool[Array, "B K"]:
    """Iterate `keep = alive and no better kept box overlaps`: box i is final after i rounds, mostly after three."""
    rank = jnp.arange(alive.shape[-1])
    better = overlap & (rank[:, None] < rank[None, :])[None]

    def refine(carry: tuple[Bool[Array, "B K"], Bool[Array, ""]]) -> tuple[Bool[Array, "B K"], Bool[Array, ""]]:
        keep, _ = carry
        refined = alive & ~(better & keep[:, :, None]).any(axis=-2)
        return refined, (refined != keep).any()

    return jax.lax.while_loop(lambda carry: carry[1], refine, (alive, jnp.bool_(True)))[0]


def _overlap(first: _Ranked, second: _Ranked, threshold: float) -> Bool[Array, "B K K"]:
    same = first.classes[:, :, None] == second.classes[:, None, :]
    return same & (box_ops.iou(first.boxes, second.boxes) > threshold)


def _rank(array: Array, order: Int[Array, "B N"]) -> Array:
    index = order if array.ndim == 2 else order[..., None]
    return _pad(jnp.take_along_axis(array, index, axis=1), -(-order.shape[1] // _BLOCK) * _BLOCK)


def _pad(array: Array, length: int) -> Array:
    missing = max(length - array.shape[1], 0)
    return jnp.pad(array, [(0, 0), (0, missing)] + [(0, 0)] * (array.ndim - 2))


def _block(array: Array, index: Int[Array, ""]) -> Array:
    return jax.lax.dynamic_slice_in_dim(array, index * _BLOCK, _BLOCK, axis=1)
