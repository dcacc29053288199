"""Unpooling against loops over the definition, adjoints, and torch."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.pooling import max_pool
from jaxvision.ops.unpooling import bed_of_nails, max_pool_with_indices, max_unpool, nearest_unpool

SETTINGS = [(2, 2, 0), (3, 2, 1), (3, 2, 0), (3, 1, 1), (2, 3, 0), (5, 3, 2), (2, 3, 1)]
OVERLAPPING = [(3, 2, 1), (3, 1, 1), (5, 3, 2)]
MODES = ["sum", "last", "max"]


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def ties(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(-2, 3, shape), jnp.float32)


def pooled_by_loop(x, window, strides, padding):
    """The first maximum of each window, cut to the map, in row order."""
    batch, height, width, channels = x.shape
    size = [(n + 2 * padding - window) // strides + 1 for n in (height, width)]
    y, index = np.zeros((batch, *size, channels), np.float32), np.zeros((batch, *size, channels), np.int32)
    for b, i, j, c in np.ndindex(*y.shape):
        top, left = i * strides - padding, j * strides - padding
        best = None
        for row in range(max(top, 0), min(top + window, height)):
            for column in range(max(left, 0), min(left + window, width)):
                if best is None or x[b, row, column, c] > best:
                    best = x[b, row, column, c]
                    y[b, i, j, c], index[b, i, j, c] = best, row * width + column
    return y, index


def unpooled_by_loop(x, indices, shape, mode):
    batch, _, _, channels = x.shape
    y = np.zeros((batch, shape[0] * shape[1], channels), np.float32)
    seen = np.zeros(y.shape, bool)
    for b, i, j, c in np.ndindex(*x.shape):
        at = (b, indices[b, i, j, c], c)
        if not 0 <= at[1] < y.shape[1]:
            continue
        value = x[b, i, j, c]
        if seen[at]:
            value = {"sum": y[at] + value, "last": value, "max": max(y[at], value)}[mode]
        y[at], seen[at] = value, True
    return y.reshape(batch, *shape, channels)


def inner(a, b):
    return float(jnp.sum(a * b))


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("image", [normal, ties])
def test_indices_are_those_of_the_first_maxima(setting, image):
    x = image(2, 9, 10, 3)
    y, index = jax.jit(lambda x: max_pool_with_indices(x, *setting))(x)
    chex.assert_trees_all_equal((y, index), pooled_by_loop(np.asarray(x), *setting))
    flat = np.asarray(x).reshape(2, -1, 3)
    np.testing.assert_array_equal(np.take_along_axis(flat, np.asarray(index).reshape(2, -1, 3), 1).ravel(), y.ravel())


def test_padding_is_never_chosen():
    x = jnp.full((1, 4, 4, 1), -jnp.inf)
    _, index = max_pool_with_indices(x, 3, 2, 1)
    np.testing.assert_array_equal(index[0, :, :, 0], [[0, 1], [4, 5]])
    _, index = max_pool_with_indices(x.at[0, 3, 3, 0].set(jnp.nan), 3, 2, 1)
    np.testing.assert_array_equal(index[0, :, :, 0], [[0, 1], [4, 15]])
    with pytest.raises(ValueError, match="padding=2"):
        max_pool_with_indices(x, 2, 2, 2)


def test_the_pool_has_max_pools_gradient():
    x = ties(2, 8, 7, 3)
    gradient = lambda pool: jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(pool(x)))))(x)  # noqa: E731
    ours = gradient(lambda x: max_pool_with_indices(x, 3, 2, 1)[0])
    chex.assert_trees_all_equal(ours, gradient(lambda x: max_pool(x, 3, 2, 1)))


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (5, 6)])
@pytest.mark.parametrize("window", [2, 3])
def test_cells_are_what_the_scatter_gives(size, window):
    x = normal(2, *size, 3)
    y, index = jax.jit(lambda x: max_pool_with_indices(x, window, window))(x)
    want = unpooled_by_loop(np.asarray(y), np.asarray(index), size, "sum")
    for unpool in (lambda y, i: max_unpool(y, i, size, window=window), lambda y, i: max_unpool(y, i, size)):
        chex.assert_trees_all_equal(jax.jit(unpool)(y, index), want)
    chex.assert_trees_all_equal(max_unpool(y, index, size, window=window), want)


@pytest.mark.parametrize("setting", OVERLAPPING)
@pytest.mark.parametrize("mode", MODES)
def test_values_with_one_place(setting, mode):
    x = normal(2, 8, 9, 3)
    _, index = jax.jit(lambda x: max_pool_with_indices(x, *setting))(x)
    values = ties(*index.shape, seed=1)
    assert len(np.unique(index[0, :, :, 0])) < index[0, :, :, 0].size, "windows share maxima"
    want = unpooled_by_loop(np.asarray(values), np.asarray(index), (8, 9), mode)
    if setting == OVERLAPPING[0]:
        chex.assert_trees_all_equal(max_unpool(values, index, (8, 9), mode=mode), want)
    chex.assert_trees_all_equal(jax.jit(lambda v, i: max_unpool(v, i, (8, 9), mode=mode))(values, index), want)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_are_the_finite_differences(mode):
    """Of a value that another replaced, 0."""
    _, index = max_pool_with_indices(normal(1, 5, 6, 2), 3, 1, 1)
    x, weights = normal(*index.shape, seed=1), normal(1, 5, 6, 2, seed=2)
    f = jax.jit(lambda x: jnp.sum(weights * max_unpool(x, index, (5, 6), mode=mode)))
    got = np.asarray(jax.jit(jax.grad(f))(x))
    values = np.asarray(x)
    for place in list(np.ndindex(*x.shape))[::3]:
        # The map is linear between ties; the step is too short to reach one.
        step = np.zeros_like(values)
        step[place] = 1e-3
        want = (f(values + step) - f(values - step)) / 2e-3
        np.testing.assert_allclose(got[place], want, atol=5e-3)


def test_adjoints():
    y, index = max_pool_with_indices(normal(2, 7, 9, 3), 2, 2)
    _, shared = max_pool_with_indices(normal(2, 7, 9, 3), 3, 2, 1)
    cases = [
        (lambda x: nearest_unpool(x, 3), y.shape),
        (lambda x: bed_of_nails(x, 3), y.shape),
        (lambda x: max_unpool(x, index, (7, 9), window=2), index.shape),
        (lambda x: max_unpool(x, index, (7, 9)), index.shape),
        *((lambda x, m=m: max_unpool(x, shared, (7, 9), mode=m), shared.shape) for m in ("sum", "last")),
    ]
    for f, shape in cases:
        x = normal(*shape, seed=3)
        out, pullback = jax.vjp(jax.jit(f), x)
        dy = normal(*out.shape, seed=4)
        np.testing.assert_allclose(inner(out, dy), inner(x, pullback(dy)[0]), rtol=1e-4, atol=1e-4)


def test_repetition_and_nails_by_hand():
    x = jnp.array([[1.0, 2.0], [3.0, 4.0]])[None, :, :, None]
    np.testing.assert_array_equal(
        nearest_unpool(x, 2)[0, :, :, 0], [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    )
    np.testing.assert_array_equal(
        bed_of_nails(x, 2)[0, :, :, 0], [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
    )
    x = normal(2, 3, 5, 4)
    chex.assert_trees_all_equal(nearest_unpool(x, 3), jnp.repeat(jnp.repeat(x, 3, 1), 3, 2))
    chex.assert_trees_all_equal(bed_of_nails(x, 3), jnp.zeros((2, 9, 15, 4)).at[:, ::3, ::3].set(x))
    chex.assert_trees_all_equal((nearest_unpool(x, 1), bed_of_nails(x, 1)), (x, x))


def test_known_mistakes_are_errors():
    y, index = max_pool_with_indices(normal(1, 6, 7, 2), 2, 2)
    with pytest.raises(ValueError, match="outside the map"):
        max_unpool(y, index, (4, 4))
    with pytest.raises(ValueError, match="outside the map"):
        max_unpool(y, index.at[0, 0, 0, 0].set(-1), (6, 7))
    with pytest.raises(ValueError, match="outside their cells"):
        max_unpool(y, index, (6, 6), window=2)
    with pytest.raises(ValueError, match="not the cells"):
        jax.jit(lambda y, i: max_unpool(y, i, (8, 7), window=2))(y, index)


@pytest.mark.parametrize("settings", [{"window": 2}, *({"mode": m} for m in MODES)])
def test_under_jit_places_outside_are_left_out(settings):
    y, index = max_pool_with_indices(normal(1, 6, 6, 2), 2, 2)
    bad = index.at[0, 0, 0].set(jnp.array([-1, 36])).at[0, 2, 2].set(jnp.array([-36, 2**30]))
    unpool = jax.jit(lambda y, i: max_unpool(y, i, (6, 6), **settings))
    want = unpooled_by_loop(np.asarray(y), np.asarray(bad), (6, 6), "sum")
    chex.assert_trees_all_equal(unpool(y, bad), want)
    dy = jax.jit(jax.grad(lambda y: jnp.sum(unpool(y, bad))))(y)
    chex.assert_trees_all_equal(dy, jnp.ones_like(y).at[0, 0, 0].set(0).at[0, 2, 2].set(0))


def test_maps_over_images_and_keeps_bfloat16():
    x = normal(3, 6, 7, 2)
    y, index = jax.jit(lambda x: max_pool_with_indices(x, 2, 2))(x)
    each = jax.jit(jax.vmap(lambda x: max_pool_with_indices(x[None], 2, 2)))(x)
    chex.assert_trees_all_equal(each, (y[:, None], index[:, None]))
    for settings in ({"window": 2}, *({"mode": m} for m in MODES)):
        unpool = lambda y, i, s=settings: max_unpool(y, i, (6, 7), **s)  # noqa: E731
        back = jax.jit(jax.vmap(lambda y, i, f=unpool: f(y[None], i[None])[0]))(y, index)
        chex.assert_trees_all_equal(back, jax.jit(unpool)(y, index))
        assert jax.eval_shape(unpool, y.astype(jnp.bfloat16), index).dtype == jnp.bfloat16


@pytest.mark.peer
@pytest.mark.parametrize("setting", [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 3, 0), (5, 3, 2)])
@pytest.mark.parametrize("image", [normal, ties])
def test_torch_gives_the_same_indices_and_maps(setting, image):
    torch = pytest.importorskip("torch")
    x = image(2, 9, 11, 3)
    window, strides, padding = setting
    channels_first = torch.tensor(np.asarray(x)).permute(0, 3, 1, 2)
    want, want_index = torch.nn.functional.max_pool2d(channels_first, window, strides, padding, return_indices=True)
    y, index = jax.jit(lambda x: max_pool_with_indices(x, *setting))(x)
    chex.assert_trees_all_equal(np.asarray(y), want.permute(0, 2, 3, 1).numpy())
    chex.assert_trees_all_equal(np.asarray(index), want_index.permute(0, 2, 3, 1).int().numpy())
    # One value for one place: torch keeps any of several, here they are equal.
    back = torch.nn.functional.max_unpool2d(want, want_index, window, strides, padding, output_size=(9, 11))
    back = back.permute(0, 2, 3, 1).numpy()
    chex.assert_trees_all_equal(np.asarray(max_unpool(y, index, (9, 11), mode="last")), back)
    chex.assert_trees_all_equal(np.asarray(max_unpool(y, index, (9, 11), mode="max")), back)
