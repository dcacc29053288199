"""Interpolation on a CPU from the few pixels that have a weight, in one fused loop."""

from functools import reduce

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from jaxvision.ops import interpolation

_FEW_TAPS = 32


def along(x: Float32[Array, "B H W C"], weights: Float[np.ndarray, "n o"], axis: int) -> Float32[Array, "B h w C"]:
    """Return `ops.interpolation.product`, summed over the few weights of a row that are not 0.

    2×45×60×21 to 360×480 takes 33 ms, and 99 ms as two matrix products.

    Args:
        x: the maps.
        weights: the matrix [to, from], of which each row is 0 outside a short band.
        axis: 1 for rows, 2 for columns.

    Returns:
        The maps, with `axis` as long as the matrix has rows.
    """
    starts, taps = _band(weights)
    if taps.shape[1] > _FEW_TAPS:
        return interpolation.product(x, weights, axis)
    shape = [-1 if a == axis else 1 for a in range(4)]
    terms = (
        jnp.take(x, starts + t, axis, mode="clip") * jnp.asarray(taps[:, t], jnp.float32).reshape(shape)
        for t in range(taps.shape[1])
    )
    return reduce(jnp.add, terms)


def _band(weights: Float[np.ndarray, "n o"]) -> tuple[np.ndarray, Float[np.ndarray, "n t"]]:
    """Return where the weights of each row begin, and as many of them as the longest row has."""
    count = max(int((weights != 0).sum(1).max()), 1)
    starts = np.minimum((weights != 0).argmax(1), weights.shape[1] - count)
    return starts, np.take_along_axis(weights, starts[:, None] + np.arange(count)[None], 1)
