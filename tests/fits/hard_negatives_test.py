"""MiningConfig finds what training on everything would find, and the objective is liblinear's."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.svm import LinearSVC

from jaxvision.fits.hard_negatives import MiningConfig, WindowFeatures, mean_length, mine, objective, solve

CLASSES, WIDTH = 2, 6


class Made:
    """Images of 40 windows that belong to no class, but some lie near the classes' own."""

    def __init__(self, count: int = 12):
        self.count, self.read = count, 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> WindowFeatures:
        self.read += 1
        rng = np.random.default_rng(index)
        features = rng.normal(size=(40, WIDTH)).astype(np.float32)
        features[:4, index % 2] += 2.0
        return WindowFeatures(features, np.ones((40, CLASSES), bool))


def positives() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(100)
    labels = np.repeat([1, 2], 15)
    features = rng.normal(size=(30, WIDTH)).astype(np.float32)
    features[np.arange(30), labels - 1] += 3.0
    return features, labels


def everything(label: int) -> tuple[np.ndarray, np.ndarray]:
    features, labels = positives()
    negatives = np.concatenate([Made()[i].features for i in range(12)])
    own = features[labels == label]
    return np.concatenate([own, negatives]), np.arange(len(own) + len(negatives)) < len(own)


@pytest.mark.parametrize("c", [0.01, 0.3])
def test_mining_reaches_the_objective_of_training_on_everything(c: float):
    config = MiningConfig(c=c, passes=4, fit_after=30)
    machines = mine(*positives(), Made(), CLASSES, config)
    for label in (1, 2):
        features, positive = everything(label)
        all_at_once = LinearSVC(
            C=c, loss="hinge", intercept_scaling=10.0, class_weight={True: 2.0}, max_iter=100_000, random_state=0
        ).fit(features, positive)
        best = objective(all_at_once.coef_[0], float(all_at_once.intercept_[0]), features, positive, config)
        found = objective(machines.kernel[:, label - 1], float(machines.bias[label - 1]), features, positive, config)
        np.testing.assert_allclose(found, best, rtol=2e-3)
    assert all(r.negatives < 480 for r in machines.rounds), "with far fewer negatives than there are"


def test_the_objective_is_the_one_that_is_minimised():
    features, positive = everything(1)
    config = MiningConfig(c=0.05)
    kernel, bias, finished = solve(features[positive], features[~positive], config)
    own = minimize(
        lambda w: objective(w[:-1], float(w[-1]), features, positive, config),
        np.append(kernel, bias) + 0.05,
        method="Powell",
        options={"maxiter": 40, "ftol": 1e-7},
    )
    found = objective(kernel, bias, features, positive, config)
    assert finished and found <= own.fun * (1 + 1e-3)
    np.testing.assert_allclose(found, own.fun, rtol=1e-2)


def test_objective_by_hand():
    config = MiningConfig(c=0.5, positive_weight=2.0, bias_scale=10.0)
    features, positive = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0]]), np.array([True, False, False])
    # scores 2, 1, 4 with bias 1: errors 0 and, as negatives, 2 and 5
    assert objective(np.array([1.0, 0.0]), 1.0, features, positive, config) == pytest.approx(0.5 + 0.005 + 0.5 * 7.0)


def test_every_image_is_read_once_a_pass_and_rounds_say_what_was_learned():
    images = Made()
    machines = mine(*positives(), images, CLASSES, MiningConfig(c=0.3, passes=2, fit_after=10))
    assert images.read == 24
    first = [r for r in machines.rounds if r.images == 1]
    assert [r.label for r in first] == [1, 2] and all(r.new == r.negatives == 40 for r in first)
    later = machines.rounds[2:]
    assert later and all(r.kept <= r.negatives for r in machines.rounds)
    assert any(r.hardest for r in later)
    for r in later:
        scores = [score for score, _, _ in r.hardest]
        assert scores == sorted(scores, reverse=True) and all(s > -1.0001 for s in scores)
    assert machines.unfinished == 0


def test_no_negative_is_held_twice():
    for few in (1, 1000):
        config = MiningConfig(c=0.3, passes=5, fit_after=few, drop_below=-np.inf, add_above=-np.inf)
        machines = mine(*positives(), Made(3), CLASSES, config)
        assert max(r.negatives for r in machines.rounds) == 3 * 40


def test_windows_that_are_no_negatives_are_left_alone():
    class Ignored(Made):
        def __getitem__(self, index: int) -> WindowFeatures:
            seen = super().__getitem__(index)
            return seen._replace(negative=seen.negative & (np.arange(40) >= 4)[:, None])

    machines = mine(*positives(), Ignored(), CLASSES, MiningConfig(c=0.3))
    assert all(window >= 4 for r in machines.rounds for _, _, window in r.hardest)


def test_a_class_without_positives_scores_below_all_others():
    features, labels = positives()
    machines = mine(features[labels == 1], labels[labels == 1], Made(), CLASSES, MiningConfig())
    assert (Made()[0].features @ machines.kernel + machines.bias[None])[:, 1].max() < -100
    assert {r.label for r in machines.rounds} == {1}


def test_without_negatives_everything_is_an_object():
    kernel, bias, finished = solve(positives()[0], np.zeros((0, WIDTH), np.float32), MiningConfig())
    assert not kernel.any() and bias == 1.0 and finished


def test_the_same_each_time():
    first, second = (mine(*positives(), Made(), CLASSES, MiningConfig(c=0.3, fit_after=20)) for _ in range(2))
    np.testing.assert_array_equal(first.kernel, second.kernel)
    np.testing.assert_array_equal(first.bias, second.bias)


def test_the_numbers_are_the_released_codes():
    expected = {"c": 0.001, "positive_weight": 2.0, "bias_scale": 10.0, "norm": 20.0, "negative_iou": 0.3}
    expected |= {"passes": 1, "add_above": -1.0001, "drop_below": -1.2, "fit_after": 2000}
    assert dataclasses.asdict(MiningConfig()) == expected


def test_mean_length():
    assert mean_length([np.array([[3.0, 4.0]], np.float16), np.zeros((1, 2)), np.zeros((0, 2))]) == 2.5
    with pytest.raises(ValueError, match="features: all are 0"):
        mean_length([np.zeros((2, 2))])
