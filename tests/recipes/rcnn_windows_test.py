"""What R-CNN's stages make of images, objects and proposals, on images whose features are known."""

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jaxvision.data.feature_store import FeatureStore, write
from jaxvision.fits.box_regression import Regression, encode
from jaxvision.fits.hard_negatives import Mining
from jaxvision.recipes import rcnn_windows as _windows
from jaxvision.recipes.rcnn_windows import MACHINE, REGRESSOR, Split
from tests.recipes.known_windows import CLASSES, IMAGES, Images, Torn, proposed, split


def features_of(index: int) -> dict[str, np.ndarray]:
    """Machines see which object a window is nearest to; regressors see how it lies to it."""
    own = split()
    windows, found = own.windows[index], own.overlaps(index).iou
    rng = np.random.default_rng(index)
    machine = 5 * np.concatenate([found, 1 - found.max(1, initial=0, keepdims=True)], 1).clip(0)
    machine = machine if found.shape[1] else np.zeros((len(windows), CLASSES + 1))
    rows, objects = own.pairs(index, 0.6)
    boxes = own.objects[index].boxes
    offsets = encode(boxes[objects], windows[rows])
    return {
        MACHINE: machine + 0.01 * rng.random(machine.shape),
        REGRESSOR: np.concatenate([offsets, offsets[:, :1] * 2 + 1], axis=1),
    }


def written(folder: Path) -> FeatureStore:
    empty = FeatureStore(folder, {MACHINE: CLASSES + 1, REGRESSOR: 5}, {}, per_shard=2)
    store = _windows.feature_store(empty, split(), 0.6)
    write(store, lambda items: iter([features_of(i) for i in items.tolist()]), lambda line: None)
    return store


def test_the_windows_of_an_image_are_its_objects_and_its_proposals():
    own = split()
    assert [len(w) for w in own.windows] == [9, 10, 10, 0, 10, 10] and [own.own(i) for i in (0, 1, 3)] == [1, 2, 0]
    np.testing.assert_array_equal(own.windows[1][:2], Images()[1]["boxes"])
    rows, objects = own.pairs(1, 0.6)
    assert rows.tolist() == [2, 3, 4, 5, 6, 7] and objects.tolist() == [0, 0, 0, 1, 1, 1]  # no object's own box
    assert own.pairs(0, 0.6)[1].tolist() == [0, 0, 0]  # nor a difficult one's


def test_the_network_learns_from_windows_of_objects_and_of_neither():
    found = _windows.tuning_windows(split(), 0.5)
    first = found.images == 0
    assert sorted(found.labels[first].tolist()) == [0, 0, 1, 1, 1, 1]  # what lies on the difficult one is left out
    assert not (found.images == 3).any()
    assert np.bincount(found.labels[found.images == 4]).tolist() == [2, 4, 4]
    nothing = Split(Images(), lambda: [p[-2:] for p in proposed()])
    with pytest.raises(ValueError, match="no window holds an object; check --data and --train_split"):
        vars(nothing)["objects"] = [o._replace(ignore=np.ones_like(o.ignore)) for o in nothing.objects]
        _windows.tuning_windows(nothing, 0.5)


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
        return {MACHINE: batch["machine"], REGRESSOR: np.repeat(batch["machine"][..., :1], 5, axis=-1)}

    empty = FeatureStore(tmp_path, {MACHINE: CLASSES + 1, REGRESSOR: 5}, {}, per_shard=2)
    store = _windows.feature_store(empty, split(), 0.6)
    _windows.write_features(store, split(), 0.6, look, predict, lambda line: None)
    assert asked == [0, 1, 2, 4, 5]
    np.testing.assert_allclose(store.read(MACHINE, 4)[:, 0], 4 + np.arange(10) / 100, rtol=1e-6)
    np.testing.assert_allclose(store.read(REGRESSOR, 4)[:, 0], 4 + np.arange(2, 8) / 100, rtol=1e-6)
    assert store.read(MACHINE, 3).shape == (0, CLASSES + 1)


def test_an_image_whose_pixels_cannot_be_read_has_no_windows():
    torn = Split(Torn(), proposed)
    assert torn.own(3) == 0 and torn.own(4) == 2 and len(torn.windows[3]) == 0


def test_an_image_that_can_be_read_no_more_does_not_lend_its_place_to_the_next(tmp_path: Path):
    def look(items: np.ndarray):
        machine = np.zeros((len(items) + 1, 12, CLASSES + 1), np.float32)
        readable = np.array([item != 2 for item in items] + [False])
        return lambda shard, shards: (batch for batch in [{"machine": machine, "_mask": readable}])

    def predict(batch):
        return {MACHINE: batch["machine"], REGRESSOR: batch["machine"]}

    empty = FeatureStore(tmp_path, {MACHINE: CLASSES + 1, REGRESSOR: CLASSES + 1}, {}, per_shard=2)
    store = _windows.feature_store(empty, split(), 0.6)
    with pytest.raises(ValueError, match="image 2: cannot be read any more"):
        _windows.write_features(store, split(), 0.6, look, predict, lambda line: None)
    assert store.whole(0) and not store.whole(1)


def test_machines_tell_objects_from_the_rest_in_features_as_stored(tmp_path: Path):
    store = written(tmp_path)
    found = _windows.learn_machines(store, split(), CLASSES, Mining(c=1.0, fit_after=5))
    for index in (1, 5):
        scores = store.read(MACHINE, index) @ found.kernel + found.bias[None]
        assert scores[:2].argmax(axis=1).tolist() == [0, 1] and scores[[0, 1], [0, 1]].min() > 0
        assert scores[-2:].max() < 0


def test_of_the_features_of_an_image_only_its_objects_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store, given = written(tmp_path), []
    whole, mine = FeatureStore.read, _windows.mine

    def read(self, name: str, item: int) -> np.ndarray:
        features = whole(self, name, item)
        given.append(weakref.ref(features))
        return features

    def mine_alone(*arguments):
        assert len(given) == 2 * IMAGES and not any(features() is not None for features in given)
        return mine(*arguments)

    monkeypatch.setattr(FeatureStore, "read", read)
    monkeypatch.setattr(_windows, "mine", mine_alone)
    _windows.learn_machines(store, split(), CLASSES, Mining(c=1.0))


def test_regressors_move_windows_to_their_objects_in_features_as_stored(tmp_path: Path):
    store, own = written(tmp_path), split()
    found = _windows.learn_regressors(store, own, CLASSES, Regression(ridge=1e-6), norm=20.0)
    rows, objects = own.pairs(4, 0.6)
    for label, regressor in enumerate(found, start=1):
        of_class = own.objects[4].labels[objects] == label
        offsets = store.read(REGRESSOR, 4)[of_class] @ regressor.kernel + regressor.bias[None]
        expected = encode(own.objects[4].boxes[objects[of_class]], own.windows[4][rows[of_class]])
        np.testing.assert_allclose(offsets, expected, atol=1e-3)


def test_a_class_without_pairs_stays_where_it_is(tmp_path: Path):
    found = _windows.learn_regressors(written(tmp_path), split(), CLASSES + 1, Regression(), norm=20.0)
    assert not found[2].kernel.any() and not found[2].bias.any()
