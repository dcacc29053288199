"""The forms for many channels against those for few."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.cpu import upsampling
from jaxvision.ops.cpu.convolution import spread
from jaxvision.ops.upsampling import Steps, conv_transpose

# kernel, strides, padding, output_padding
SETTINGS = [(4, 2, 1, 0), (3, 2, 1, 1), (3, 1, 1, 0), (4, 1, 0, 0), (5, 2, 2, 1), (5, 3, 1, 2), (8, 4, 2, 0)]


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def close(got, want):
    chex.assert_equal_shape([got, want])
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * float(np.abs(want).max()))


@pytest.mark.parametrize("setting", SETTINGS)
def test_forms_for_many_channels_say_the_same_as_those_for_few(setting):
    size, *rest = setting
    at, x, kernel = Steps(*rest), normal(2, 4, 5, 3), normal(size, size, 3, 4, seed=1)
    y = conv_transpose(x, kernel, *rest)
    strides, lows = (at.strides,) * 2, (at.padding,) * 2
    close(spread(x, kernel, strides, lows, at.sizes(x.shape[1:3], kernel.shape[:2])), y)
    for got, want in zip(upsampling._convolved(x, kernel, y, at), upsampling._products(x, kernel, y, at), strict=True):
        close(got, want)
