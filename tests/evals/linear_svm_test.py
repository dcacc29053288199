import numpy as np
import pytest

from jaxvision.evals.linear_svm import grid_features, svm_accuracy

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("features", [3, 40])
def test_clusters_are_told_apart_whatever_their_scale(features):
    centers = 8.0 * np.eye(3, features)
    labels = np.arange(60) % 3
    rows = ((centers[labels] + RNG.normal(size=(60, features))) * 1e4 + 1e6).astype(np.float32)
    assert svm_accuracy(rows[:30], labels[:30], rows[30:], labels[30:]) > 0.95


def test_noise_is_not_and_a_constant_feature_does_no_harm():
    rows, labels = RNG.normal(size=(400, 5)), RNG.integers(0, 2, 400)
    rows[:, 0] = 3.0
    assert 0.35 < svm_accuracy(rows[:200], labels[:200], rows[200:], labels[200:]) < 0.65


def test_one_class_is_an_error():
    with pytest.raises(ValueError, match="all of one class"):
        svm_accuracy(np.ones((4, 2)), np.zeros(4, int), np.ones((1, 2)), np.zeros(1, int))


def test_maps_are_max_pooled_to_four_by_four():
    maps = RNG.normal(size=(2, 8, 16, 3))
    got = grid_features([maps, maps[:, :4, :4, :1]])
    assert got.shape == (2, 4 * 4 * 3 + 4 * 4)
    cells = [maps[:, 2 * i : 2 * i + 2, 4 * j : 4 * j + 4].max(axis=(1, 2)) for i in range(4) for j in range(4)]
    np.testing.assert_array_equal(got[:, :48], np.concatenate(cells, axis=1))
    np.testing.assert_array_equal(got[:, 48:], maps[:, :4, :4, 0].reshape(2, 16))


def test_a_side_that_four_does_not_divide_is_an_error():
    with pytest.raises(ValueError, match="6 × 8"):
        grid_features([np.ones((1, 6, 8, 2))])
