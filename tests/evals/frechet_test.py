"""FID against closed forms and SciPy's matrix root."""

import numpy as np
import pytest
import scipy.linalg

from jaxvision.evals.frechet import Moments, frechet, frechet_distance

RNG = np.random.default_rng(0)


def covariance(rank: int, size: int = 6) -> np.ndarray:
    x = RNG.normal(size=(size, rank))
    return x @ x.T


def batches_of(fake: np.ndarray, real: np.ndarray, size: int) -> list:
    """Batches of `size`, the last one padded with rows that would spoil everything."""
    batches = []
    for start in range(0, len(fake), size):
        rows = slice(start, start + size)
        pad = size - len(fake[rows])
        outputs = {
            name: np.concatenate([x[rows], np.full((pad, x.shape[1]), np.inf, x.dtype)])
            for name, x in (("features", fake), ("real_features", real))
        }
        batches.append((outputs, {"_mask": np.arange(size) < size - pad}))
    return batches


def evaluate(metric, batches) -> dict:
    state = metric.init()
    for outputs, batch in batches:
        state = metric.update(state, outputs, batch)
    return metric.result(state)


def by_scipy(fake: np.ndarray, real: np.ndarray) -> float:
    a, b = (np.cov(x.astype(np.float64), rowvar=False) for x in (fake, real))
    apart = fake.mean(axis=0, dtype=np.float64) - real.mean(axis=0, dtype=np.float64)
    return float(apart @ apart + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real))


def test_equals_scipys_matrix_root():
    a, b = covariance(6), covariance(6)
    mean, other = RNG.normal(size=6), RNG.normal(size=6)
    expected = np.sum((mean - other) ** 2) + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    assert frechet_distance(mean, a, other, b) == pytest.approx(expected, rel=1e-10)


def test_closed_forms():
    one, zero = np.eye(3), np.zeros(3)
    assert frechet_distance(zero, one, zero, one) == 0.0
    assert frechet_distance(zero, one, np.array([3.0, 4.0, 0.0]), one) == pytest.approx(25.0)
    variances, others = np.array([1.0, 4.0, 9.0]), np.array([16.0, 4.0, 0.0])
    distance = frechet_distance(zero, np.diag(variances), zero, np.diag(others))
    assert distance == pytest.approx(np.sum((np.sqrt(variances) - np.sqrt(others)) ** 2))


def test_a_covariance_of_low_rank_is_at_no_distance_from_itself():
    mean, low = np.zeros(200), covariance(5, 200)
    assert frechet_distance(mean, low, mean, low) < 1e-10 * np.trace(low)


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_the_metric_equals_the_whole_set_at_once(shift):
    fake = (RNG.normal(size=(50, 4)) @ covariance(4, 4) + shift).astype(np.float32)
    real = (RNG.normal(size=(50, 4)) + shift).astype(np.float32)
    got = evaluate(frechet("lenet"), batches_of(fake, real, 8))
    assert got == {"fid_lenet": pytest.approx(by_scipy(fake, real), rel=1e-9)}


def test_states_of_two_processes_add_up_and_none_is_changed():
    metric = frechet("x")
    batches = batches_of(RNG.normal(size=(21, 3)), RNG.normal(size=(21, 3)), 6)
    start = metric.init()
    states = [metric.update(start, *b) for b in batches]
    assert start.count == 0 and [s.count for s in states] == [6, 6, 6, 3]
    merged = metric.merge(metric.merge(start, states[3]), metric.merge(states[1], metric.merge(states[2], states[0])))
    assert merged.count == 21
    assert metric.result(merged)["fid_x"] == pytest.approx(evaluate(metric, batches)["fid_x"], rel=1e-12)


def test_a_batch_of_padding_alone_changes_nothing():
    metric, nothing = frechet("x"), {"_mask": np.zeros(4, bool)}
    features = {"features": np.ones((4, 2)), "real_features": np.ones((4, 2))}
    state = metric.update(metric.init(), features, nothing)
    assert state.count == 0
    with pytest.raises(ValueError, match="frechet: 0 examples"):
        metric.result(state)


def test_the_moments_of_a_union_are_a_sum():
    x = RNG.normal(5.0, 1.0, (2, 30, 3))
    parts = Moments.of(x[:, :7]) + (Moments.of(x[:, 7:8]) + Moments.of(x[:, 8:]))
    np.testing.assert_allclose(parts.mean, x.mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose(parts.squares[1] / 29, np.cov(x[1], rowvar=False), rtol=1e-11)


def test_features_that_are_not_finite_are_an_error():
    outputs = {"features": np.array([[np.nan]]), "real_features": np.ones((1, 1))}
    with pytest.raises(ValueError, match="not finite"):
        frechet("x").update(frechet("x").init(), outputs, {"_mask": np.array([True])})
