"""The sum over a band of weights against the matrix product."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import interpolation
from jaxvision.ops.cpu.interpolation import along


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def close(got, want):
    chex.assert_equal_shape([got, want])
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * float(np.abs(want).max()))


@pytest.mark.parametrize("shape", [(12, 5), (5, 12), (6, 3)])
@pytest.mark.parametrize("axis", [1, 2])
def test_a_band_is_the_product(shape, axis):
    """Also with rows of zeros, which a smaller size's transpose has."""
    weights = interpolation._weights(shape[1], shape[0], False)
    for matrix in (weights, weights.T):
        x = normal(2, *(matrix.shape[1] if a == axis else 3 for a in (1, 2)), 2)
        got = jax.jit(lambda x, m=matrix: along(x, m, axis))(x)
        close(got, jax.jit(lambda x, m=matrix: interpolation.product(x, m, axis))(x))
