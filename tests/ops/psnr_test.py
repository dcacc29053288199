"""Decibels by hand, on the host in float64 and under jit."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.ops.psnr import psnr


def test_decibels_of_the_host_are_in_float64():
    ratio = psnr(np.array([255.0**2, 1.0, 0.0]), peak=255.0, least=0.01)
    np.testing.assert_allclose(ratio, [0.0, 20 * np.log10(255), 20 + 20 * np.log10(255)], rtol=1e-14)
    assert ratio.dtype == np.float64


def test_decibels_under_jit():
    ratio = jax.jit(partial(psnr, peak=2.0))(jnp.array([4.0, 0.04]))
    np.testing.assert_allclose(ratio, [0, 20], atol=1e-5)
    assert bool(jnp.isfinite(psnr(jnp.zeros(()), peak=1.0)))
