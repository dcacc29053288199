"""Each image's windows have their features in the store, whichever images can be read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jaxvision.data.feature_store import FeatureStore
from jaxvision.recipes.rcnn_features import REGRESSOR_FEATURES, SVM_FEATURES, with_rows, write_features
from tests.recipes.known_windows import CLASSES, split


def test_only_images_with_windows_are_looked_at_and_each_gets_its_rows(tmp_path: Path):
    asked: list[int] = []

    def look(items: np.ndarray):
        asked.extend(items.tolist())
        own = split()

        def batches(shard: int, shards: int) -> Iterator[dict]:
            for pair in np.split(items, range(2, len(items), 2)):
                machine = np.zeros((2, 12, CLASSES + 1), np.float32)
                for row, item in enumerate(pair.tolist()):
                    machine[row, : len(own.windows[item]), 0] = item + np.arange(len(own.windows[item])) / 100
                yield {"machine": machine, "_mask": np.arange(2) < len(pair)}

        return batches

    def predict(batch):
        return {SVM_FEATURES: batch["machine"], REGRESSOR_FEATURES: np.repeat(batch["machine"][..., :1], 5, axis=-1)}

    empty = FeatureStore(tmp_path, {SVM_FEATURES: CLASSES + 1, REGRESSOR_FEATURES: 5}, {}, per_shard=2)
    store = with_rows(empty, split(), 0.6)
    write_features(store, split(), 0.6, look, predict, lambda line: None)
    assert asked == [0, 1, 2, 4, 5]
    np.testing.assert_allclose(store.read(SVM_FEATURES, 4)[:, 0], 4 + np.arange(10) / 100, rtol=1e-6)
    np.testing.assert_allclose(store.read(REGRESSOR_FEATURES, 4)[:, 0], 4 + np.arange(2, 8) / 100, rtol=1e-6)
    assert store.read(SVM_FEATURES, 3).shape == (0, CLASSES + 1)


def test_an_image_that_can_be_read_no_more_does_not_lend_its_place_to_the_next(tmp_path: Path):
    def look(items: np.ndarray):
        machine = np.zeros((len(items) + 1, 12, CLASSES + 1), np.float32)
        readable = np.array([item != 2 for item in items] + [False])
        return lambda shard, shards: (batch for batch in [{"machine": machine, "_mask": readable}])

    def predict(batch):
        return {SVM_FEATURES: batch["machine"], REGRESSOR_FEATURES: batch["machine"]}

    empty = FeatureStore(tmp_path, {SVM_FEATURES: CLASSES + 1, REGRESSOR_FEATURES: CLASSES + 1}, {}, per_shard=2)
    store = with_rows(empty, split(), 0.6)
    with pytest.raises(ValueError, match="image 2: cannot be read any more"):
        write_features(store, split(), 0.6, look, predict, lambda line: None)
    assert store.whole(0) and not store.whole(1)
