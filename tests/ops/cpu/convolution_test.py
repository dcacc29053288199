"""Every CPU form against lax's own convolution: values, both gradients, odd sizes."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxvision.ops.convolution import conv_general_dilated
from jaxvision.ops.cpu import convolution, winograd

NHWC = ("NHWC", "HWIO", "NHWC")

# height, width, channels, outputs, kernel, strides, pads, groups
CASES = {
    "1x1": (5, 6, 3, 4, (1, 1), (1, 1), ((0, 0), (0, 0)), 1),
    "1x1/2": (7, 6, 8, 4, (1, 1), (2, 2), ((0, 0), (0, 0)), 1),
    "1x1 padded": (5, 6, 8, 4, (1, 1), (2, 1), ((1, 0), (2, 1)), 1),
    "3x3 winograd": (9, 11, 32, 33, (3, 3), (1, 1), ((1, 1), (1, 1)), 1),
    "3x3 winograd, whole tiles": (8, 4, 32, 32, (3, 3), (1, 1), ((1, 1), (1, 1)), 1),
    "3x3 winograd, odd pads": (7, 5, 32, 32, (3, 3), (1, 1), ((0, 2), (3, 0)), 1),
    "3x3 winograd, one output": (3, 3, 32, 32, (3, 3), (1, 1), ((0, 0), (0, 0)), 1),
    "3x3": (6, 7, 5, 6, (3, 3), (1, 1), ((1, 1), (1, 1)), 1),
    "3x3 rgb, to few": (8, 6, 3, 4, (3, 3), (1, 1), ((1, 1), (1, 1)), 1),
    "3x3 grey, odd sizes and pads": (6, 5, 1, 5, (3, 3), (1, 1), ((0, 1), (2, 0)), 1),
    "3x3 rgb, a negative pad": (6, 8, 3, 16, (3, 3), (1, 1), ((1, -1), (0, 1)), 1),
    "3x3 groups of few": (6, 5, 8, 8, (3, 3), (1, 1), ((1, 1), (1, 1)), 4),
    "3x3/2": (8, 7, 8, 6, (3, 3), (2, 2), ((1, 1), (1, 1)), 1),
    "5x5": (7, 6, 6, 4, (5, 5), (1, 1), ((2, 2), (2, 2)), 1),
    "oblong": (9, 8, 6, 4, (3, 5), (2, 3), ((1, 1), (2, 0)), 1),
    "3x3 on one pixel": (1, 1, 32, 33, (3, 3), (1, 1), ((1, 1), (1, 1)), 1),
    "3x3/2 on one pixel, groups": (1, 1, 8, 6, (3, 3), (2, 2), ((1, 1), (1, 1)), 2),
    "3x3/2 on two pixels": (2, 2, 8, 6, (3, 3), (2, 2), ((1, 1), (1, 1)), 1),
    "3x3 on a row": (1, 5, 32, 32, (3, 3), (1, 1), ((1, 1), (1, 1)), 1),
    "5x5/3 on two pixels": (2, 2, 6, 4, (5, 5), (3, 3), ((2, 4), (4, 3)), 1),
    "7x7/2 rgb on two pixels": (2, 2, 3, 4, (7, 7), (2, 2), ((3, 3), (3, 3)), 1),
    "negative pad": (9, 8, 6, 4, (3, 3), (2, 2), ((-1, 1), (0, -2)), 1),
    "pads wider than the kernel": (6, 7, 5, 6, (3, 3), (1, 1), ((3, 4), (0, 5)), 1),
    "7x7/2 rgb": (14, 13, 3, 4, (7, 7), (2, 2), ((3, 3), (3, 3)), 1),
    "4x4/2, many channels": (9, 8, 128, 128, (4, 4), (2, 2), ((1, 1), (1, 2)), 1),
    "5x4 rgb, blocks": (13, 11, 3, 4, (5, 4), (2, 2), ((1, 0), (2, 1)), 1),
    "11x11/4 rgb": (35, 31, 3, 4, (11, 11), (4, 4), ((2, 2), (2, 2)), 1),
    "11x11/4 rgb, winograd": (31, 31, 3, 32, (11, 11), (4, 4), ((0, 0), (0, 0)), 1),
    "5x5 groups": (6, 6, 8, 6, (5, 5), (1, 1), ((2, 2), (2, 2)), 2),
    "depthwise": (6, 6, 8, 8, (3, 3), (1, 1), ((1, 1), (1, 1)), 8),
}


def arguments(case):
    height, width, channels, outputs, size, strides, pads, groups = CASES[case]
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, height, width, channels)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(*size, channels // groups, outputs)), jnp.float32)
    return (
        x,
        kernel,
        {"window_strides": strides, "padding": pads, "feature_group_count": groups, "dimension_numbers": NHWC},
    )


def padded_by_hand(x, kernel, padding, **settings):
    """lax's convolution, not asked to pad: given pads of both signs it reads beyond the map on a CPU."""
    x = lax.pad(x, 0.0, ((0, 0, 0), *((*pad, 0) for pad in padding), (0, 0, 0)))
    return lax.conv_general_dilated(x, kernel, padding=((0, 0), (0, 0)), **settings)


def close(got, want):
    """Winograd's bound: 2e-5 of the largest value."""
    chex.assert_equal_shape([got, want])
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * float(jnp.abs(want).max()))


@pytest.mark.parametrize("case", CASES)
def test_equals_lax_with_both_gradients(case):
    x, kernel, settings = arguments(case)

    def both(conv):
        def run(x, kernel, dy):
            y, pullback = jax.vjp(lambda x, k: conv(x, k, **settings), x, kernel)
            return y, pullback(dy)

        return jax.jit(run)

    dy = jnp.asarray(np.random.default_rng(1).normal(size=padded_by_hand(x, kernel, **settings).shape), jnp.float32)
    jax.tree.map(close, both(conv_general_dilated)(x, kernel, dy), both(padded_by_hand)(x, kernel, dy))


def test_equals_a_loop_over_the_definition():
    x, kernel, settings = arguments("3x3/2")
    (s, _), (ph, pw) = settings["window_strides"], settings["padding"]
    padded = np.pad(np.asarray(x), ((0, 0), ph, pw, (0, 0)))
    want = np.array(
        [
            [
                np.einsum("bijc,ijco->bo", padded[:, i : i + 3, j : j + 3], kernel)
                for j in range(0, padded.shape[2] - 2, s)
            ]
            for i in range(0, padded.shape[1] - 2, s)
        ]
    ).transpose(2, 0, 1, 3)
    close(conv_general_dilated(x, kernel, **settings), want)


@pytest.mark.parametrize("case", ["3x3 winograd", "7x7/2 rgb", "3x3/2", "1x1/2"])
def test_maps_over_examples_and_kernels(case):
    x, kernel, settings = arguments(case)
    kernels = jnp.stack([kernel, -2 * kernel])
    conv = lambda c: jax.jit(jax.vmap(jax.vmap(lambda x, k: c(x[None], k, **settings), (0, None)), (None, 0)))  # noqa: E731
    close(conv(conv_general_dilated)(x, kernels), conv(lax.conv_general_dilated)(x, kernels))


@pytest.mark.parametrize("case", ["3x3 winograd, whole tiles", "3x3/2"])
def test_gradients_of_gradients(case):
    """A gradient penalty differentiates a gradient."""
    x, kernel, settings = arguments(case)

    def penalty(conv):
        def norm(x, kernel):
            dx = jax.grad(lambda x: jnp.sum(jnp.tanh(conv(x, kernel, **settings))))(x)
            return jnp.sum(jnp.square(dx))

        return jax.jit(jax.grad(norm, (0, 1)))(0.01 * x, kernel)

    jax.tree.map(close, penalty(conv_general_dilated), penalty(lax.conv_general_dilated))


@pytest.mark.long
def test_the_same_on_every_device():
    x, kernel, settings = arguments("3x3 winograd, whole tiles")
    devices = jax.local_device_count()
    batch = jnp.tile(x[None], (devices, 1, 1, 1, 1))
    got = jax.pmap(lambda x: conv_general_dilated(x, kernel, **settings))(batch)
    close(got, jnp.tile(lax.conv_general_dilated(x, kernel, **settings)[None], (devices, 1, 1, 1, 1)))


@pytest.mark.parametrize(
    ("batch", "size", "channels", "outputs", "expected"),
    [
        (1, 7, 512, 512, False),  # four tiles: the kernel's transform takes longer than the sum
        (8, 7, 512, 512, False),
        (1, 28, 512, 512, True),  # 49 tiles
        (8, 14, 256, 256, True),
        (1, 56, 64, 64, True),
        (1, 7, 128, 256, False),
        (1, 7, 64, 64, True),  # a kernel that stays in the cache
        (64, 32, 16, 32, False),  # few channels
    ],
)
def test_winograd_is_taken_where_it_pays(batch, size, channels, outputs, expected, monkeypatch):
    taken = []
    conv3x3 = winograd.conv3x3
    monkeypatch.setattr(winograd, "conv3x3", lambda *given: taken.append(given) or conv3x3(*given))
    x, kernel = (
        jax.ShapeDtypeStruct(s, jnp.float32) for s in ((batch, size, size, channels), (3, 3, channels, outputs))
    )
    run = partial(convolution.convolve, strides=(1, 1), pads=((1, 1), (1, 1)))
    assert jax.eval_shape(run, x, kernel).shape == (batch, size, size, outputs)
    assert bool(taken) == expected
    settings = {"strides": (1, 1), "pads": ((1, 1), (1, 1))}
    jax.eval_shape(partial(convolution.gradients, **settings), x, kernel, jax.eval_shape(run, x, kernel))
    assert bool(taken) == (min(channels, outputs) >= 32)  # gradients go by Winograd for any number of tiles
