"""Ridge regression against scikit-learn's, and what it does to windows."""

import dataclasses
from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import Ridge

from jaxvision.fits.box_regression import Pairs, RegressionConfig, _whitening, encode, fit
from jaxvision.ops import boxes as box_ops

WIDTH = 5


def pairs(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(count, WIDTH)).astype(np.float32)
    return features, features @ rng.normal(size=(WIDTH, 4)) * 0.1 + 0.02 * rng.normal(size=(count, 4)) + 0.3


def parts(features: np.ndarray, offsets: np.ndarray, size: int = 17) -> Iterator[Pairs]:
    for first in range(0, len(features), size):
        yield features[first : first + size], offsets[first : first + size]


def test_equals_scikit_learns_ridge_on_whitened_targets():
    features, offsets = pairs()
    found = fit(parts(features, offsets), offsets, WIDTH, 3.0)
    white = _whitening(offsets)
    ones = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    ridge = Ridge(alpha=3.0, fit_intercept=False).fit(ones, (offsets - white.mean) @ white.forward)
    expected = ridge.predict(ones) @ white.back + white.mean
    np.testing.assert_allclose(features @ found.kernel + found.bias, expected, atol=1e-8)


def test_whitened_targets_are_uncorrelated_and_come_back():
    rng = np.random.default_rng(1)
    offsets = 5 * rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4)) + 2
    white = _whitening(offsets)
    targets = (offsets - white.mean) @ white.forward
    np.testing.assert_allclose(np.cov(targets.T, bias=True), np.eye(4), atol=0.02)
    np.testing.assert_allclose(targets @ white.back + white.mean, offsets, atol=1e-8)


def test_without_ridge_a_linear_relation_is_found():
    features, _ = pairs()
    kernel = np.random.default_rng(2).normal(size=(WIDTH, 4))
    offsets = features @ kernel + 0.5
    found = fit(parts(features, offsets), offsets, WIDTH, 1e-9)
    np.testing.assert_allclose(found.kernel, kernel, atol=1e-4)
    np.testing.assert_allclose(found.bias, 0.5, atol=1e-4)


def test_a_strong_ridge_leaves_the_mean_offset():
    features, offsets = pairs()
    found = fit(parts(features, offsets), offsets, WIDTH, 1e9)
    np.testing.assert_allclose(features @ found.kernel + found.bias, np.tile(offsets.mean(0), (60, 1)), atol=1e-4)


def test_a_class_of_few_pairs_or_none_is_finite():
    features, offsets = pairs(1)
    one = fit(parts(features, offsets), offsets, WIDTH, 1000.0)
    assert np.isfinite(one.kernel).all()
    np.testing.assert_allclose(features @ one.kernel + one.bias, offsets, atol=1e-2)
    none = fit([], np.zeros((0, 4)), WIDTH, 1000.0)
    assert not none.kernel.any() and not none.bias.any()


def test_offsets_are_those_of_the_detectors():
    rng = np.random.default_rng(3)
    boxes, windows = (np.concatenate([c, c + s], 1) for c, s in rng.uniform(1, 50, (2, 2, 9, 2)))
    expected = box_ops.encode(jnp.asarray(boxes), jnp.asarray(windows))
    np.testing.assert_allclose(encode(boxes, windows), expected, atol=1e-4)


def test_the_numbers_are_the_released_codes():
    assert dataclasses.asdict(RegressionConfig()) == {"ridge": 1000.0, "min_iou": 0.6}
