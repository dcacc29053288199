"""Placeholder until the fast form lands."""

import jax.numpy as jnp
from jax import lax


def max_pool(x, window, strides, padding=0):
    """Max pool."""
    pad = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, window, window, 1), (1, strides, strides, 1), pad)


def max_pool_ceil(x, window, strides, padding=0):
    """Max pool, ceil mode."""
    pads = []
    for n in x.shape[1:3]:
        out = -(-(n + 2 * padding - window) // strides) + 1
        if (out - 1) * strides >= n + padding:
            out -= 1
        pads.append((padding, max((out - 1) * strides + window - n - padding, 0)))
    return lax.reduce_window(
        x, -jnp.inf, lax.max, (1, window, window, 1), (1, strides, strides, 1), ((0, 0), *pads, (0, 0))
    )


def avg_pool(x, window, strides, padding=0, *, count_include_pad=True):
    """Average pool."""
    pad = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    s = lax.reduce_window(x, 0.0, lax.add, (1, window, window, 1), (1, strides, strides, 1), pad)
    return s / (window * window)
