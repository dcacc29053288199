"""Pooling against loops over the definition; the gradient goes to the first maximum."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxvision.ops.pooling import adaptive_avg_pool, avg_pool, max_pool, max_pool_ceil

SETTINGS = [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 3, 0), (5, 3, 2)]


def loop(x, window, strides, padding, reduce, ceil=False):
    """Each window cut to the map; `reduce` gets its pixels and its number of padded positions."""
    batch, height, width, channels = x.shape
    lengths = []
    for n in (height, width):
        count = (n + 2 * padding - window) / strides
        count = int(np.ceil(count) if ceil else np.floor(count)) + 1
        lengths.append(count - 1 if ceil and (count - 1) * strides >= n + padding else count)
    y = np.zeros((batch, *lengths, channels), np.float32)
    for i, j in np.ndindex(*lengths):
        top, left = i * strides - padding, j * strides - padding
        y[:, i, j] = reduce(x[:, max(top, 0) : top + window, max(left, 0) : left + window])
    return y


def image(height=9, width=10, ties=False):
    rng = np.random.default_rng(0)
    values = rng.integers(-2, 3, (2, height, width, 3)) if ties else rng.normal(size=(2, height, width, 3))
    return jnp.asarray(values, jnp.float32)


@pytest.mark.parametrize("setting", SETTINGS)
def test_max_pool_equals_the_loop(setting):
    x = image()
    chex.assert_trees_all_equal(max_pool(x, *setting), loop(np.asarray(x), *setting, lambda w: w.max((1, 2))))
    for height in (7, 10):
        x = image(height, 9)
        want = loop(np.asarray(x), *setting, lambda w: w.max((1, 2)), ceil=True)
        chex.assert_trees_all_equal(max_pool_ceil(x, *setting), want)


@pytest.mark.parametrize(
    ("length", "window", "strides", "padding", "want"),
    [(112, 3, 2, 0, 56), (3, 2, 2, 1, 2), (5, 1, 2, 1, 3), (4, 2, 3, 0, 2), (227, 3, 2, 0, 113)],
)
def test_the_last_window_starts_inside(length, window, strides, padding, want):
    """As torch.nn.functional.max_pool2d(..., ceil_mode=True) counts them."""
    assert max_pool_ceil(jnp.zeros((1, length, length, 1)), window, strides, padding).shape == (1, want, want, 1)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("include", [True, False])
def test_avg_pool_equals_the_loop(setting, include):
    x = image()
    divide = setting[0] ** 2 if include else None
    want = loop(np.asarray(x), *setting, lambda w: w.sum((1, 2)) / (divide or w.shape[1] * w.shape[2]))
    chex.assert_trees_all_close(avg_pool(x, *setting, count_include_pad=include), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("pool", [max_pool, max_pool_ceil])
def test_the_gradient_goes_to_the_first_maximum(setting, pool):
    """lax's select-and-scatter does the same, ties or none."""
    x = image(8, 11, ties=True)
    y, pullback = jax.vjp(lambda x: pool(x, *setting), x)
    dy = jnp.asarray(np.random.default_rng(1).normal(size=y.shape), jnp.float32)
    window, strides, padding = setting
    overhang = [
        max((n - 1) * strides + window - padding - m, padding) for n, m in zip(y.shape[1:3], x.shape[1:3], strict=True)
    ]
    pads = ((0, 0), (padding, overhang[0]), (padding, overhang[1]), (0, 0))

    def reference(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, window, window, 1), (1, strides, strides, 1), pads)

    want_y, want = jax.vjp(reference, x)
    chex.assert_trees_all_equal(y, want_y)
    chex.assert_trees_all_close(pullback(dy), want(dy), atol=1e-5)
    np.testing.assert_allclose(pullback(dy)[0].sum(), dy.sum(), atol=1e-4)


def test_a_window_of_equal_values_passes_its_gradient_once():
    dx = jax.grad(lambda x: max_pool(x, 2, 2).sum())(jnp.zeros((1, 2, 2, 1)))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[1, 0], [0, 0]])


def test_vmap_bfloat16_and_nan():
    x = image()
    chex.assert_trees_all_equal(jax.vmap(lambda x: max_pool(x[None], 3, 2, 1)[0])(x), max_pool(x, 3, 2, 1))
    assert jax.grad(lambda x: max_pool(x, 2, 2).sum())(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert jnp.isnan(max_pool(x.at[0, 0, 0, 0].set(jnp.nan), 2, 2)[0, 0, 0, 0])
    for place in ((0, 0), (1, 1)):  # also where the gradient is asked for, which takes another way to the maximum
        pooled, _ = jax.vjp(lambda x: max_pool(x, 2, 2), x.at[0, *place, 0].set(jnp.nan))
        assert jnp.isnan(pooled[0, 0, 0, 0])


@pytest.mark.parametrize(
    ("size", "windows"), [((14, 14), (4, 4)), ((7, 5), (3, 2)), ((3, 4), (6, 4)), ((6, 6), (6, 6))]
)
def test_adaptive_pool_averages_each_window(size: tuple[int, int], windows: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    expected = np.zeros((2, *windows, 3), np.float32)
    for i in range(windows[0]):
        for j in range(windows[1]):
            rows = slice(i * size[0] // windows[0], -(-(i + 1) * size[0] // windows[0]))
            columns = slice(j * size[1] // windows[1], -(-(j + 1) * size[1] // windows[1]))
            expected[:, i, j] = x[:, rows, columns].mean((1, 2))
    np.testing.assert_allclose(adaptive_avg_pool(jnp.asarray(x), windows), expected, atol=1e-6)
