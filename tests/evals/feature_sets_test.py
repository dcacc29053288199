"""Kernel distance, precision and recall against loops over pairs."""

import itertools

import numpy as np
import pytest

from jaxvision.evals.feature_sets import among, kernel_distance, kid, precision_recall

RNG = np.random.default_rng(0)


def evaluate(metric, fake: np.ndarray, real: np.ndarray, size: int = 5) -> dict:
    state = metric.init()
    for rows in np.array_split(np.arange(len(fake)), -(-len(fake) // size)):
        pad = np.zeros((2, fake.shape[1]), fake.dtype)
        outputs = {"features": np.concatenate([fake[rows], pad]), "real_features": np.concatenate([real[rows], pad])}
        state = metric.update(state, outputs, {"_mask": np.arange(len(rows) + 2) < len(rows)})
    return metric.result(state)


def by_pairs(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(a, b):
        return (np.dot(a, b) / len(a) + 1) ** 3

    within = [np.mean([kernel(a, b) for a, b in itertools.permutations(s, 2)]) for s in (x, y)]
    return sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y])


def lies_among(point: np.ndarray, members: np.ndarray, k: int) -> bool:
    reaches = [sorted(np.linalg.norm(members - m, axis=1))[k] for m in members]
    return any(np.linalg.norm(point - m) <= r for m, r in zip(members, reaches, strict=True))


def test_kernel_distance_equals_a_loop_over_pairs():
    x, y = RNG.normal(size=(7, 3)), RNG.normal(1.0, 2.0, (5, 3))
    assert kernel_distance(x, y) == pytest.approx(by_pairs(x, y), rel=1e-12)


def test_kid_is_unbiased_and_grows_with_the_distance():
    """Means over many small sets of the same distribution come close to 0, where the biased estimate is far off."""
    same = [kernel_distance(*RNG.normal(size=(2, 10, 4))) for _ in range(2000)]
    error = np.std(same) / np.sqrt(len(same))
    assert abs(np.mean(same)) < 4 * error < 0.1
    real = RNG.normal(size=(200, 4))
    near, far = (evaluate(kid("x"), RNG.normal(shift, 1.0, (200, 4)), real)["kid_x"] for shift in (0.0, 1.0))
    assert near < 0.3 < far


def test_one_block_is_the_whole_set():
    fake, real = RNG.normal(size=(2, 9, 3)).astype(np.float32)
    whole = kernel_distance(fake.astype(np.float64), real.astype(np.float64))
    assert evaluate(kid("lenet"), fake, real) == {"kid_lenet": pytest.approx(whole, rel=1e-12)}


def test_every_row_is_in_one_block():
    """A kernel distance of sets that are all alike but for one far row is felt wherever that row is dealt."""
    fake, real = np.zeros((11, 2)), np.zeros((11, 2))
    assert evaluate(kid("x", block=4), fake, real)["kid_x"] == 0.0
    for row in range(11):
        moved = fake.copy()
        moved[row] = 3.0
        assert evaluate(kid("x", block=4), moved + 1.0, real)["kid_x"] > 5.0


@pytest.mark.parametrize("metric", [kid("x", block=6), precision_recall("x")], ids=["kid", "precision_recall"])
def test_neither_order_nor_sharing_between_processes_matters(metric):
    fake, real = RNG.normal(size=(2, 20, 3))
    order = RNG.permutation(20)
    assert evaluate(metric, fake, real) == evaluate(metric, fake[order], real[order], size=20)


@pytest.mark.parametrize("k", [1, 3])
def test_among_equals_a_loop(k):
    members = RNG.normal(size=(15, 2))
    points = np.concatenate([RNG.normal(size=(20, 2)), members[:2], RNG.normal(5.0, 1.0, (5, 2))])
    expected = [lies_among(p, members, k) for p in points]
    assert any(expected) and not all(expected)
    np.testing.assert_array_equal(among(points, members, k), expected)


def test_many_rows_are_compared_in_parts(monkeypatch):
    points, members = RNG.normal(size=(30, 2)), RNG.normal(size=(11, 2))
    whole = among(points, members, 3)
    monkeypatch.setattr("jaxvision.evals.feature_sets._ROWS", 4)
    np.testing.assert_array_equal(among(points, members, 3), whole)


def test_precision_and_recall_tell_quality_from_variety():
    """Two clusters are real; the generator draws one of them well, or both of them and as much rubbish."""
    real = RNG.normal(size=(100, 2)) + np.repeat([[0.0, 0.0], [50.0, 0.0]], 50, axis=0)
    dropped = evaluate(precision_recall("x"), RNG.normal(size=(100, 2)) * 0.7, real)
    assert dropped["precision_x"] > 0.9 and 0.3 < dropped["recall_x"] < 0.5
    rubbish = np.concatenate([real[::2] + 0.01, RNG.normal(0.0, 1.0, (50, 2)) + np.array([[0.0, 1e4]])])
    noisy = evaluate(precision_recall("x"), rubbish, real)
    assert noisy["precision_x"] == 0.5 and noisy["recall_x"] > 0.9


def test_copies_are_at_no_distance_however_large_the_features():
    """Where all rows of the real set are the same, its balls are points; the same row again lies in them."""
    row = RNG.normal(1e3, 1.0, (1, 100))
    assert among(row, row.repeat(6, axis=0), 3).all()
    assert not among(row + 1e-3, row.repeat(6, axis=0), 3).any()


def test_too_few_examples_are_an_error():
    three = RNG.normal(size=(3, 2))
    with pytest.raises(ValueError, match="precision_recall: 3 examples .* at least 4"):
        evaluate(precision_recall("x"), three, three)
    with pytest.raises(ValueError, match="kid: 0 examples"):
        kid("x").result([])
