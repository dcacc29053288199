import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import selection
from jaxvision.ops.dispatch import plain_forms
from jaxvision.run.program import operations


def kinds() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(3, 700)).astype(np.float32)
    odd = normal.copy()
    odd[:, ::50], odd[:, 1::50], odd[0, 2::50], odd[:, 3::50] = np.nan, np.inf, -np.inf, -np.nan
    return {
        "normal": normal,
        "tied": rng.integers(-3, 3, (3, 700)).astype(np.float32),
        "zeros of both signs": np.where(normal > 0, 0.0, -0.0).astype(np.float32),
        "all equal": np.full((3, 700), 2.5, np.float32),
        "not finite": odd,
        "tiny": normal * np.float32(1e-42),
        "ascending": np.tile(np.arange(700, dtype=np.float32), (3, 1)),
    }


@pytest.mark.parametrize("name", kinds())
def test_equals_lax_top_k(name: str):
    values = jnp.array(kinds()[name])
    for count in (1, 128, 170):
        found, indices = jax.jit(selection.selected, static_argnums=1)(values, count)
        expected, wanted = jax.lax.top_k(values, count)
        np.testing.assert_array_equal(indices, wanted)
        np.testing.assert_array_equal(found.view(jnp.uint32), expected.view(jnp.uint32))


def test_half_precision_and_one_row():
    values = jnp.array(np.random.default_rng(1).normal(size=900), jnp.bfloat16)  # many are equal
    found, indices = selection.selected(values, 100)
    expected, wanted = jax.lax.top_k(values, 100)
    np.testing.assert_array_equal(indices, wanted)
    assert found.dtype == jnp.bfloat16 and (found == expected).all()


def test_first_true():
    mask = np.random.default_rng(2).uniform(size=(4, 1000)) < [[0.0], [0.01], [0.3], [1.0]]
    found = np.asarray(selection.first_true(jnp.array(mask), 50))
    assert found.shape == (4, 50) and found.min() >= 0 and found.max() < 1000
    for row, trues in zip(found, map(np.flatnonzero, mask), strict=True):
        np.testing.assert_array_equal(row[: len(trues)], trues[:50])


def test_the_key_of_a_rank():
    keys = np.random.default_rng(3).integers(0, 2**32, (2, 300), dtype=np.uint32)
    keys[1, ::3] = keys[1, 0]
    for rank in (1, 7, 300):
        found = selection.kth_largest(jnp.array(keys), jnp.full(2, rank))
        np.testing.assert_array_equal(found, np.sort(keys, axis=1)[:, -rank])


def test_only_what_is_wanted_is_sorted():
    def best(values: jax.Array) -> tuple[jax.Array, jax.Array]:
        return selection.top_k(values, 2000)

    with plain_forms():
        counts = operations(jax.make_jaxpr(best)(jax.ShapeDtypeStruct((2, 201_600), jnp.float32)).jaxpr)
    assert counts["sorted"] == 2 * 2000 and counts["waits"] == 0 and counts["scattered"] == 0
    # Where nearly all are wanted they are sorted: that costs no more.
    with plain_forms():
        counts = operations(jax.make_jaxpr(best)(jax.ShapeDtypeStruct((2, 2100), jnp.float32)).jaxpr)
    assert counts["sorted"] == 2 * 2100
