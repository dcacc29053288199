"""Winograd's 3×3 convolution against the sum it stands for, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.cpu.winograd import conv3x3


def direct(x, kernel):
    height, width = x.shape[1] - 2, x.shape[2] - 2
    taps = [(i, j) for i in range(3) for j in range(3)]
    return sum(np.einsum("bhwc,co->bhwo", x[:, i : i + height, j : j + width], kernel[i, j]) for i, j in taps)


@pytest.mark.parametrize("size", [(3, 3), (6, 6), (7, 10), (5, 12)])
def test_equals_the_sum_and_its_adjoints(size):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, *size, 5)), rng.normal(size=(3, 3, 5, 4))
    y, pullback = jax.vjp(jax.jit(conv3x3), jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32))
    want = direct(x, kernel)
    np.testing.assert_allclose(y, want, rtol=0, atol=2e-5 * np.abs(want).max())
    # <dy, conv(u, kernel)> = <dx, u>, and likewise for the kernel: both gradients against the definition alone.
    dy, u, v = rng.normal(size=want.shape), rng.normal(size=x.shape), rng.normal(size=kernel.shape)
    dx, dkernel = pullback(jnp.asarray(dy, jnp.float32))
    np.testing.assert_allclose((np.asarray(dx) * u).sum(), (dy * direct(u, kernel)).sum(), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose((np.asarray(dkernel) * v).sum(), (dy * direct(x, v)).sum(), rtol=1e-4, atol=1e-3)


def test_error_over_many_channels_stays_within_the_stated_bound():
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(1, 9, 9, 512)), rng.normal(size=(3, 3, 512, 8)) * 0.02
    want = direct(x, kernel)
    got = conv3x3(jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32))
    assert np.abs(np.asarray(got) - want).max() < 2e-5 * np.abs(want).max()
