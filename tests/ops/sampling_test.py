import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import sampling

each = pytest.mark.parametrize("run", [jax.jit, lambda f: f], ids=["jit", "eager"])


def draw(key, label, count=8, max_positives=3):
    return sampling.sample(key, label, count=count, max_positives=max_positives)


@each
@pytest.mark.parametrize(
    ("positives", "negatives", "expected"),
    [(10, 20, (3, 5)), (2, 20, (2, 6)), (0, 20, (0, 8)), (10, 2, (3, 2)), (0, 0, (0, 0)), (1, 0, (1, 0))],
)
def test_counts(run, positives, negatives, expected):
    label = np.full(40, -1)
    label[:positives], label[positives : positives + negatives] = 1, 0
    label = np.random.default_rng(0).permutation(label)
    found = run(draw)(jax.random.key(0), jnp.array(label))
    indices, used, positive = map(np.asarray, (found.indices, found.used, found.positive))
    assert indices.shape == (8,)
    assert (positive.sum(), (used & ~positive).sum()) == expected
    assert (label[indices[positive]] == 1).all() and (label[indices[used & ~positive]] == 0).all()
    assert len(set(indices[used])) == used.sum(), "drawn without replacement"
    assert (np.diff(used.astype(int)) <= 0).all() and (np.diff(positive.astype(int)) <= 0).all()


def test_fewer_boxes_than_slots():
    found = draw(jax.random.key(1), jnp.array([0, 1, 0]))
    np.testing.assert_array_equal(found.used, [True] * 3 + [False] * 5)
    assert set(np.asarray(found.indices[:3])) == {0, 1, 2} and found.indices[0] == 1


def test_no_positives_wanted():
    found = draw(jax.random.key(1), jnp.array([0, 1, 0]), count=2, max_positives=0)
    np.testing.assert_array_equal(np.sort(found.indices), [0, 2])


def test_every_subset_is_equally_likely():
    label = jnp.array([1, 1, 1, 0, 0, 0, 0, -1])
    keys = jax.random.split(jax.random.key(2), 12_000)
    found = jax.jit(jax.vmap(lambda key: draw(key, label, count=4, max_positives=2)))(keys)
    sets = [tuple(sorted(row.tolist())) for row in np.asarray(found.indices)]
    counts = np.array([sets.count(subset) for subset in set(sets)])
    assert len(counts) == 3 * 6  # two of three positives, two of four negatives
    expected = len(sets) / 18
    assert ((counts - expected) ** 2 / expected).sum() < 40.8  # chi-square, 17 degrees of freedom, p = 0.001


def test_equal_priorities_do_not_favour_low_indices(monkeypatch):
    uniform = jax.random.uniform

    def coarse(key, shape):  # the first draw is always tied
        return uniform(key, shape).at[0].set(0.5)

    monkeypatch.setattr(jax.random, "uniform", coarse)
    keys = jax.random.split(jax.random.key(3), 4_000)
    found = jax.vmap(lambda key: draw(key, jnp.zeros(10, int), count=2, max_positives=0))(keys)
    counts = np.bincount(np.asarray(found.indices).reshape(-1), minlength=10)
    assert abs(counts - 800).max() < 120


def test_the_key_decides():
    label = jnp.zeros(100, int)
    first, again, other = (draw(jax.random.key(seed), label).indices for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_too_many_positives_are_refused():
    with pytest.raises(ValueError, match="max_positives is 9"):
        draw(jax.random.key(0), jnp.zeros(4, int), count=8, max_positives=9)
