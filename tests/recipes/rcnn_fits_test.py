"""SVMs and regressors work on features as they are stored, although they are fitted to scaled ones."""

import weakref
from pathlib import Path

import numpy as np
import pytest

from jaxvision.data.feature_store import FeatureStore
from jaxvision.fits.box_regression import RegressionConfig, encode
from jaxvision.fits.hard_negatives import MiningConfig
from jaxvision.recipes import rcnn_fits
from jaxvision.recipes.rcnn_features import REGRESSOR_FEATURES, SVM_FEATURES
from tests.recipes.known_windows import CLASSES, IMAGES, split, written


def test_machines_tell_objects_from_the_rest_in_features_as_stored(tmp_path: Path):
    store = written(tmp_path)
    found = rcnn_fits.fit_svms(store, split(), CLASSES, MiningConfig(c=1.0, fit_after=5))
    for index in (1, 5):
        scores = store.read(SVM_FEATURES, index) @ found.kernel + found.bias[None]
        assert scores[:2].argmax(axis=1).tolist() == [0, 1] and scores[[0, 1], [0, 1]].min() > 0
        assert scores[-2:].max() < 0


def test_of_the_features_of_an_image_only_its_objects_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store, given = written(tmp_path), []
    whole, mine = FeatureStore.read, rcnn_fits.mine

    def read(self, name: str, item: int) -> np.ndarray:
        features = whole(self, name, item)
        given.append(weakref.ref(features))
        return features

    def mine_alone(*arguments):
        assert len(given) == 2 * IMAGES and not any(features() is not None for features in given)
        return mine(*arguments)

    monkeypatch.setattr(FeatureStore, "read", read)
    monkeypatch.setattr(rcnn_fits, "mine", mine_alone)
    rcnn_fits.fit_svms(store, split(), CLASSES, MiningConfig(c=1.0))


def test_regressors_move_windows_to_their_objects_in_features_as_stored(tmp_path: Path):
    store, own = written(tmp_path), split()
    found = rcnn_fits.fit_regressors(store, own, CLASSES, RegressionConfig(ridge=1e-6), norm=20.0)
    rows, objects = own.pairs(4, 0.6)
    for label, regressor in enumerate(found, start=1):
        of_class = own.objects[4].labels[objects] == label
        offsets = store.read(REGRESSOR_FEATURES, 4)[of_class] @ regressor.kernel + regressor.bias[None]
        expected = encode(own.objects[4].boxes[objects[of_class]], own.windows[4][rows[of_class]])
        np.testing.assert_allclose(offsets, expected, atol=1e-3)


def test_a_class_without_pairs_stays_where_it_is(tmp_path: Path):
    found = rcnn_fits.fit_regressors(written(tmp_path), split(), CLASSES + 1, RegressionConfig(), norm=20.0)
    assert not found[2].kernel.any() and not found[2].bias.any()
