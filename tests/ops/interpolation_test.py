"""Interpolation against a loop over four neighbours, transposed convolution, and torch."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.interpolation import bilinear_init, bilinear_kernel, hat, interpolate, resize_bilinear
from jaxvision.ops.upsampling import conv_transpose

SIZES = [((3, 4), (7, 9)), ((5, 4), (5, 4)), ((9, 8), (4, 5)), ((2, 3), (16, 24)), ((1, 3), (4, 1)), ((2, 1), (70, 3))]


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def close(got, want):
    chex.assert_equal_shape([got, want])
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * float(np.abs(want).max()))


def inner(a, b):
    return float(jnp.sum(a * b))


def test_the_hat_falls_to_0_one_pixel_away():
    distance = np.array([-1.5, -1, -0.25, 0, 0.5, 1, 2])
    for array in (distance, jnp.asarray(distance)):
        np.testing.assert_array_equal(hat(array), [0, 0, 0.75, 1, 0.5, 0, 0])


def test_bilinear_kernels_by_hand():
    np.testing.assert_array_equal(bilinear_kernel(1), [[1]])
    np.testing.assert_allclose(bilinear_kernel(2)[1], np.array([1, 3, 3, 1]) * 3 / 16)
    np.testing.assert_allclose(bilinear_kernel(3)[2], np.array([1, 2, 3, 2, 1]) / 3, rtol=1e-6)
    assert [bilinear_kernel(s).shape[0] for s in (2, 3, 8, 16, 32)] == [4, 5, 16, 32, 64]
    kernel = bilinear_init(jax.random.PRNGKey(0), (4, 4, 3, 2))
    chex.assert_trees_all_equal(kernel[:, :, 1, 1], jnp.asarray(bilinear_kernel(2)))
    np.testing.assert_array_equal(kernel[0, 0], np.eye(3, 2) / 16)


@pytest.mark.parametrize("factor", [1, 2, 3, 8, 40])
def test_interpolation_is_that_transposed_convolution(factor):
    x = normal(2, 3, 2, 2)
    size = 2 * factor - factor % 2
    kernel = bilinear_init(jax.random.PRNGKey(0), (size, size, 2, 2))
    for padding in {0, factor // 2}:
        got = jax.jit(lambda x, p=padding: interpolate(x, factor, p))(x)
        close(got, jax.jit(lambda x, p=padding: conv_transpose(x, kernel, factor, p))(x))
    if factor > 1:  # away from the borders a ramp stays a ramp
        ramp = jnp.broadcast_to(jnp.arange(5.0)[None, :, None, None], (1, 5, 5, 1))
        inside = interpolate(ramp, factor)[0, 2 * factor : 4 * factor, 2 * factor, 0]
        np.testing.assert_allclose(np.diff(inside), 1 / factor, atol=1e-5)


def test_a_kernel_that_interpolates_by_no_whole_factor_is_an_error():
    with pytest.raises(ValueError, match="factor"):
        bilinear_init(jax.random.PRNGKey(0), (6, 6, 2, 2))


def resized_by_loop(x, size, align_corners):
    def at(index, old, new):
        if align_corners:
            place = index * (old - 1) / (new - 1) if new > 1 else 0.0
        else:
            place = min(max((index + 0.5) * old / new - 0.5, 0), old - 1)
        low = min(int(place), old - 1)
        return low, min(low + 1, old - 1), place - low

    y = np.zeros((x.shape[0], *size, x.shape[3]), np.float32)
    for i, j in np.ndindex(*size):
        (top, bottom, v), (left, right, u) = at(i, x.shape[1], size[0]), at(j, x.shape[2], size[1])
        upper = (1 - u) * x[:, top, left] + u * x[:, top, right]
        lower = (1 - u) * x[:, bottom, left] + u * x[:, bottom, right]
        y[:, i, j] = (1 - v) * upper + v * lower
    return y


@pytest.mark.parametrize(("old", "new"), SIZES)
@pytest.mark.parametrize("align_corners", [False, True])
def test_resizing_weighs_four_neighbours(old, new, align_corners):
    x = normal(2, *old, 3)
    resize = lambda x: resize_bilinear(x, new, align_corners=align_corners)  # noqa: E731
    want = resized_by_loop(np.asarray(x), new, align_corners)
    y, pullback = jax.vjp(jax.jit(resize), x)
    close(y, want)
    dy = normal(*y.shape, seed=1)
    np.testing.assert_allclose(inner(y, dy), inner(x, pullback(dy)[0]), rtol=1e-4, atol=1e-4)


def test_the_gradient_of_a_resizing_is_differentiable():
    x, back = normal(1, 2, 3, 2), jax.jit(lambda x: resize_bilinear(x, (4, 5)))
    dy = normal(1, 4, 5, 2, seed=1)
    pull = lambda dy: jax.vjp(back, x)[1](dy)[0]  # noqa: E731
    close(jax.jit(jax.grad(lambda dy: jnp.sum(jnp.square(pull(dy)))))(dy), 2 * back(pull(dy)))


def test_resizing_keeps_bfloat16_and_maps_over_examples():
    x = normal(2, 3, 5, 2)
    half = resize_bilinear(x.astype(jnp.bfloat16), (6, 7))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), resize_bilinear(x, (6, 7)), atol=0.03)
    close(jax.jit(jax.vmap(lambda x: resize_bilinear(x[None], (6, 7))[0]))(x), resize_bilinear(x, (6, 7)))


@pytest.mark.peer
@pytest.mark.parametrize(("old", "new"), [*SIZES, ((45, 60), (90, 121)), ((28, 28), (57, 61))])
@pytest.mark.parametrize("align_corners", [False, True])
def test_torch_resizes_alike(old, new, align_corners):
    torch = pytest.importorskip("torch")
    x = normal(2, *old, 3)
    want = torch.nn.functional.interpolate(
        torch.tensor(np.array(x)).permute(0, 3, 1, 2), new, mode="bilinear", align_corners=align_corners
    )
    got = jax.jit(lambda x: resize_bilinear(x, new, align_corners=align_corners))(x)
    close(got, want.permute(0, 2, 3, 1).numpy())
