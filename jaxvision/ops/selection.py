"""The largest of many values without sorting them all, which takes an accelerator many passes over its memory.

The border between those that are wanted and the others is found digit by digit, by counting; only what lies above it is
sorted. The host waits for nothing.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from jaxvision.ops.dispatch import dispatch

_DIGIT = 4  # bits of the border that one pass over the values settles
_BLOCK = 128  # values that are counted together
_WORTH = 4  # times as many values as are wanted: with fewer, a sort costs no more


def top_k(values: Float[Array, "*b N"], count: int) -> tuple[Float[Array, "*b K"], Int[Array, "*b K"]]:
    """Return the `count` largest values, the largest first, and their indices: exactly those of `jax.lax.top_k`.

    Equal values rank by index. NaN is the largest value, and -0 is less than 0.

    Example:
        >>> values, indices = top_k(jnp.array([0.1, 0.7, 0.3, 0.7]), 3)
        >>> indices.tolist()
        [1, 3, 2]
    """
    return dispatch(values, cpu="selection.top_k", default=selected, count=count)


def selected(values: Float[Array, "*b N"], count: int) -> tuple[Float[Array, "*b K"], Int[Array, "*b K"]]:
    """Return `top_k(values, count)`; of the values only `count` are sorted."""
    if values.shape[-1] < _WORTH * count:
        best, indices = jax.lax.top_k(values, count)
        return best, indices
    indices = largest(ordered(values), jnp.full(values.shape[:-1], count), count)
    # Those above the border are in the order of their indices, and so are those at it: `lax.top_k` keeps that order.
    best, rank = jax.lax.top_k(jnp.take_along_axis(values, indices, axis=-1), count)
    return best, jnp.take_along_axis(indices, rank, axis=-1)


def ordered(values: Float[Array, "*b N"]) -> UInt32[Array, "*b N"]:
    """Return whole numbers in the order of the values, which is that of `jax.lax.top_k`."""
    bits = jax.lax.bitcast_convert_type(values.astype(jnp.float32), jnp.uint32)
    top = jnp.uint32(1 << 31)
    return jnp.where(bits < top, bits | top, ~bits)


def largest(keys: UInt32[Array, "*b N"], most: Int[Array, "*b"], slots: int) -> Int[Array, "*b K"]:
    """Return the indices of the `most` largest keys, of equal ones the first, in the first `most` slots.

    Args:
        keys: the keys.
        most: how many are wanted, from 1 to `slots`.
        slots: K, no more than N.

    Returns:
        The indices in two runs, each in ascending order: of keys above the least one that is wanted, and of keys equal
        to it. What is in slots from `most` on has no meaning.
    """
    border = kth_largest(keys, most)[..., None]
    above, slot = keys > border, jnp.arange(slots)
    better = above.sum(axis=-1, keepdims=True)
    shape = (*keys.shape[:-1], slots)
    slot = jnp.broadcast_to(slot.reshape((1,) * (keys.ndim - 1) + (-1,)), shape)
    equal = jnp.take_along_axis(first_true(keys == border, slots), jnp.maximum(slot - better, 0), axis=-1)
    return jnp.where(slot < better, first_true(above, slots), equal)


def kth_largest(keys: UInt32[Array, "*b N"], count: Int[Array, "*b"]) -> UInt32[Array, "*b"]:
    """Return the largest number that at least `count` keys reach: the key of that rank, counted from 1."""
    digits = jnp.arange(1, 1 << _DIGIT, dtype=jnp.uint32).reshape((1,) * (keys.ndim - 1) + (-1,))

    def settle(digit: Int[Array, ""], border: UInt32[Array, "*b"]) -> UInt32[Array, "*b"]:
        shift = jnp.uint32(32 - _DIGIT) - _DIGIT * digit.astype(jnp.uint32)
        bounds = border[..., None] + (digits << shift)
        reached = (keys[..., None, :] >= bounds[..., :, None]).sum(axis=-1, dtype=jnp.int32)
        return border + ((reached >= count[..., None]).sum(axis=-1, dtype=jnp.uint32) << shift)

    return jax.lax.fori_loop(0, 32 // _DIGIT, settle, jnp.zeros(keys.shape[:-1], jnp.uint32))


def first_true(mask: Bool[Array, "*b N"], slots: int) -> Int[Array, "*b K"]:
    """Return the indices of the first `slots` true values; slots beyond their number hold some index of the mask.

    Args:
        mask: the values.
        slots: K.

    Returns:
        The indices, in ascending order.
    """
    count, lead = mask.shape[-1], mask.shape[:-1]
    blocks = -(-count // _BLOCK)
    padding = [(0, 0)] * len(lead) + [(0, blocks * _BLOCK - count)]
    mask = jnp.pad(mask, padding).reshape(*lead, blocks, _BLOCK)
    ends = jnp.cumsum(mask.sum(axis=-1, dtype=jnp.int32), axis=-1)
    rank = jnp.arange(slots, dtype=jnp.int32).reshape((1,) * len(lead) + (-1,))
    block = (ends[..., None, :] <= rank[..., None]).sum(axis=-1, dtype=jnp.int32)
    starts = jnp.pad(ends, [(0, 0)] * len(lead) + [(1, 0)])
    rank = rank - jnp.take_along_axis(starts, block, axis=-1)  # within the block
    block = jnp.minimum(block, blocks - 1)
    rows = jnp.take_along_axis(mask, block[..., None], axis=-2)
    within = (jnp.cumsum(rows, axis=-1, dtype=jnp.int32) <= rank[..., None]).sum(axis=-1, dtype=jnp.int32)
    return jnp.minimum(block * _BLOCK + within, count - 1)
