import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.interventions import ablate, at, chosen, insert, place, pool


def maps() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)


def keys(n: int) -> jax.Array:
    return jax.random.split(jax.random.PRNGKey(0), n)


def test_ablate_and_insert_units_by_hand():
    r, alpha = maps(), chosen((1, 3), 5)
    np.testing.assert_array_equal(alpha, [0, 1, 0, 1, 0])
    expected = r.copy()
    expected[..., [1, 3]] = 0
    np.testing.assert_array_equal(ablate(jnp.asarray(alpha)[None])(jnp.asarray(r)), expected)
    where = np.zeros((2, 3, 4), np.float32)
    where[0, 1, 2] = 1
    k = np.arange(5, dtype=np.float32)
    expected = r.copy()
    expected[0, 1, 2, [1, 3]] = [1, 3]
    found = insert(jnp.asarray(alpha)[None], jnp.asarray(k)[None], jnp.asarray(where))(jnp.asarray(r))
    np.testing.assert_array_equal(found, expected)


def test_soft_interventions_blend_row_by_row():
    r, rng = maps(), np.random.default_rng(1)
    alpha, k = rng.uniform(size=(2, 2, 5)).astype(np.float32)
    where = rng.uniform(size=(2, 3, 4)).astype(np.float32)
    expected = np.empty_like(r)
    for b, i, j, u in np.ndindex(r.shape):
        share = alpha[b, u] * where[b, i, j]
        expected[b, i, j, u] = (1 - share) * r[b, i, j, u] + share * k[b, u]
    found = insert(*map(jnp.asarray, (alpha, k, where)))(jnp.asarray(r))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_an_edit_keeps_the_type_of_the_map():
    assert insert(jnp.ones((1, 5)), jnp.ones((1, 5)))(jnp.asarray(maps(), jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize("size", [(4, 6), (2, 3), (3, 4), (8, 6)])
def test_pool_is_the_mean_over_cells(size):
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 2)).astype(np.float32)
    fine = x.repeat(size[0], axis=1).repeat(size[1], axis=2)  # every cell is now a whole number of pixels
    cells = fine.reshape(1, size[0], 4, size[1], 6, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(pool(jnp.asarray(x), size), cells, atol=1e-6)


@pytest.mark.parametrize(("patch", "counts"), [(1, {1}), (2, {1, 2, 4}), (3, {4, 6, 9})])
def test_places_are_squares(patch, counts):
    where = np.asarray(place(keys(200), jnp.zeros((200, 5, 7)), patch))
    assert set(where.sum((1, 2))) == counts and set(np.unique(where)) == {0, 1}
    rows, columns = where.max(2).sum(1), where.max(1).sum(1)
    np.testing.assert_array_equal(rows * columns, where.sum((1, 2)))


def test_half_the_places_are_where_the_concept_is():
    presence = np.zeros((4000, 4, 5), np.float32)
    presence[:, 1, 2], presence[:, 3, 4] = 0.3, 0.1
    shares = np.asarray(place(keys(4000), jnp.asarray(presence), 1)).mean(0)
    expected = np.full((4, 5), 0.5 / 20)
    expected[1, 2] += 0.375
    expected[3, 4] += 0.125
    np.testing.assert_allclose(shares, expected, atol=0.03)


def test_where_the_concept_is_nowhere_all_places_are_equal():
    shares = np.asarray(place(keys(2000), jnp.zeros((2000, 2, 3)), 1)).mean(0)
    np.testing.assert_allclose(shares, np.full((2, 3), 1 / 6), atol=0.03)


def test_at_is_the_mean_over_the_mask():
    x = jnp.arange(12.0).reshape(1, 3, 4)
    where = jnp.zeros((1, 3, 4)).at[0, 1, 1:3].set(1.0)
    assert float(at(x, where)[0]) == 5.5
    assert float(at(x, 0 * where)[0]) == 0.0
