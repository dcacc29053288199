"""What has no CPU form is lax's own convolution, and the plain form agrees with it for any pads."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxvision.ops.convolution import conv_general_dilated, convolve
from jaxvision.ops.dispatch import plain_forms

NHWC = ("NHWC", "HWIO", "NHWC")


def arguments(channels, outputs):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 6, 7, channels)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(3, 3, channels, outputs)), jnp.float32)
    return x, kernel, {"window_strides": (1, 1), "padding": ((1, 1), (1, 1)), "dimension_numbers": NHWC}


@pytest.mark.parametrize(
    "changed",
    [
        {"padding": "SAME"},
        {"rhs_dilation": (2, 2)},
        {"lhs_dilation": (2, 2)},
        {"dimension_numbers": ("NWHC", "HWIO", "NHWC")},
    ],
)
def test_leaves_the_rest_to_lax(changed):
    x, kernel, settings = arguments(5, 6)
    settings |= changed
    chex.assert_trees_all_equal(
        conv_general_dilated(x, kernel, **settings), lax.conv_general_dilated(x, kernel, **settings)
    )


def test_bfloat16_is_lax_s():
    x, kernel, settings = arguments(32, 33)
    x, kernel = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    got = conv_general_dilated(x, kernel, **settings)
    assert got.dtype == jnp.bfloat16
    chex.assert_trees_all_equal(got, lax.conv_general_dilated(x, kernel, **settings))


def test_empty_batch_and_map_smaller_than_the_kernel():
    x, kernel, settings = arguments(5, 6)
    assert conv_general_dilated(x[:0], kernel, **settings).shape == (0, 6, 7, 6)
    settings["padding"] = ((0, 0), (0, 0))
    assert conv_general_dilated(x[:, :2], kernel, **settings).shape == (2, 0, 5, 6)


@pytest.mark.parametrize("pads", [((1, 1), (0, 2)), ((-1, 1), (0, -2)), ((3, 4), (0, 5))])
def test_the_plain_form_pads_by_any_number(pads):
    x, kernel, settings = arguments(5, 6)
    by_hand = lax.pad(x, 0.0, ((0, 0, 0), *((*pad, 0) for pad in pads), (0, 0, 0)))
    want = lax.conv_general_dilated(by_hand, kernel, **settings | {"padding": ((0, 0), (0, 0))})
    np.testing.assert_allclose(convolve(x, kernel, (1, 1), pads), want, atol=1e-5)


def test_the_plain_form_differentiates_forward():
    x, kernel, settings = arguments(5, 6)
    with plain_forms():
        _, got = jax.jvp(lambda x: conv_general_dilated(x, kernel, **settings), (x,), (x,))
    np.testing.assert_allclose(got, lax.conv_general_dilated(x, kernel, **settings), atol=1e-5)
