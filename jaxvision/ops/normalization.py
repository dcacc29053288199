"""Placeholder until the fast form lands."""

import jax.numpy as jnp
from jax import lax


def local_response_norm(x, *, size=5, k=2.0, alpha=1e-4, beta=0.75):
    """LRN."""
    s = lax.reduce_window(jnp.square(x), 0.0, lax.add, (1, 1, 1, size), (1, 1, 1, 1), ((0, 0),) * 3 + ((size // 2,) * 2,))
    return x * (k + alpha * s) ** -beta
