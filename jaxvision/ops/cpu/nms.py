"""Non-maximum suppression on a CPU, which goes through no more boxes than it takes to fill the slots."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxvision.ops.nms import Boxes, best_first, hit, overlap, take

_BLOCK = 256  # boxes settled together


class _Kept(NamedTuple):
    """The ranks that survived so far: those in the first `filled` slots of each image."""

    block: Int[Array, ""]  # the next one to settle
    ranks: Int[Array, "B N"]
    filled: Int[Array, "B"]


def suppress(
    boxes: Boxes, scores: Float[Array, "B N"], threshold: float, slots: int
) -> tuple[Int[Array, "B K"], Bool[Array, "B K"]]:
    """Return `ops.nms.suppress`: blocks of boxes are visited best first until every image has K.

    Args:
        boxes: the boxes.
        scores: of each box; those of boxes that are not usable are less than all others.
        threshold: the IoU above which a better box suppresses another one.
        slots: K.

    Returns:
        A box in each slot, the best first, and which slots hold one.
    """
    order, ranked = best_first(boxes, scores, _BLOCK)
    kept = _suppress(ranked, threshold, slots)
    filled = jnp.arange(slots)[None] < kept.filled[:, None]
    room = max(slots - kept.ranks.shape[1], 0)
    ranks = jnp.where(filled, jnp.pad(kept.ranks, ((0, 0), (0, room)))[:, :slots], 0)
    return jnp.take_along_axis(order, ranks, axis=1), filled


def _suppress(ranked: Boxes, threshold: float, enough: int) -> _Kept:
    """Return the ranks that are kept, among the leading blocks that yield `enough` of them in every image."""
    batch, length = ranked.usable.shape

    def unfinished(kept: _Kept) -> Bool[Array, ""]:
        # Boxes that are not usable rank last: where one leads a block, its image is through.
        going = (kept.filled < enough) & ranked.usable[:, jnp.minimum(kept.block * _BLOCK, length - 1)]
        return (kept.block < length // _BLOCK) & going.any()

    def settle(kept: _Kept) -> _Kept:
        ranks = jnp.broadcast_to(kept.block * _BLOCK + jnp.arange(_BLOCK)[None], (batch, _BLOCK))
        block = take(ranked, ranks)

        def drop(part: Int[Array, ""], alive: Bool[Array, "B K"]) -> Bool[Array, "B K"]:
            better = take(ranked, jax.lax.dynamic_slice_in_dim(kept.ranks, part * _BLOCK, _BLOCK, axis=1))
            filled = (part * _BLOCK + jnp.arange(_BLOCK))[None] < kept.filled[:, None]
            return alive & ~hit(filled, overlap(better, block, threshold))

        # Only survivors suppress: where boxes crowd they are few, and so are the parts to go through.
        parts = -(-kept.filled.max() // _BLOCK)
        alive = jax.lax.fori_loop(0, parts, drop, block.usable)
        return _append(kept, ranks, _fixed_point(alive, overlap(block, block, threshold)))

    none = _Kept(jnp.int32(0), jnp.zeros((batch, length), jnp.int32), jnp.zeros(batch, jnp.int32))
    return jax.lax.while_loop(unfinished, settle, none)


def _fixed_point(alive: Bool[Array, "B K"], overlaps: Bool[Array, "B K K"]) -> Bool[Array, "B K"]:
    """Iterate `keep = alive and no better kept box overlaps`: box i is final after i rounds, mostly after three."""
    rank = jnp.arange(alive.shape[-1])
    better = overlaps & (rank[:, None] < rank[None, :])[None]

    def refine(carry: tuple[Bool[Array, "B K"], Bool[Array, ""]]) -> tuple[Bool[Array, "B K"], Bool[Array, ""]]:
        keep, _ = carry
        refined = alive & ~hit(keep, better)
        return refined, (refined != keep).any()

    return jax.lax.while_loop(lambda carry: carry[1], refine, (alive, jnp.bool_(True)))[0]


def _append(kept: _Kept, ranks: Int[Array, "B K"], settled: Bool[Array, "B K"]) -> _Kept:
    end = kept.ranks.shape[1]
    slots = jnp.where(settled, kept.filled[:, None] + jnp.cumsum(settled, axis=1) - 1, end)
    image = jnp.arange(kept.ranks.shape[0])[:, None]
    appended = kept.ranks.at[image, slots].set(ranks, mode="drop")
    return _Kept(kept.block + 1, appended, kept.filled + settled.sum(axis=1, dtype=jnp.int32))
