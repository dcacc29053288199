"""DeconvNet is shown single objects first, then proposals with everything in them, and at last the best proposals."""

import numpy as np
import pytest

from jaxvision.data import object_crops
from jaxvision.data.records import Record

FILL = (10.0, 20.0, 30.0)


def photo(objects: bool = True) -> Record:
    """Two objects, one of each class, that nearly touch; red is the column, green the row."""
    y, x = np.indices((60, 80))
    labels = np.zeros((60, 80), np.uint8)
    if objects:
        labels[10:30, 10:40], labels[10:30, 42:62], labels[0, 0] = 1, 2, 255
    return {"image": np.stack([x, y, 0 * x + 200], axis=-1).astype(np.uint8), "label_map": labels}


def draw(transform, record: Record, seed: int = 0) -> Record:
    return transform(record, np.random.default_rng(seed))


def test_an_object_is_in_the_middle_and_all_others_are_background():
    transform = object_crops.train(48, resize=48, proposals=False, flip=0.0, fill=FILL)
    seen = set()
    for seed in range(12):
        found = draw(transform, photo(), seed)
        assert found["image"].shape == (48, 48, 3) and found["label_map"].shape == (48, 48)
        (label,) = set(np.unique(found["label_map"]).tolist()) - {0}
        rows, columns = np.nonzero(found["label_map"] == label)
        assert (rows.min(), rows.max()) == (4, 43) and (columns.min(), columns.max()) == (4, 43)  # 48 · (1 - 1/1.2) / 2
        seen.add(label)
        middle = found["image"][24, 24].astype(int)
        assert np.abs(middle[:2] - {1: (25, 20), 2: (52, 20)}[label]).max() <= 1
    assert seen == {1, 2}


def test_a_crop_is_a_random_part_of_the_stretched_box():
    transform = object_crops.train(40, resize=50, proposals=False, flip=0.0, fill=FILL)
    firsts = {tuple(draw(transform, photo(), seed)["image"][0, 0, :2]) for seed in range(12)}
    assert len(firsts) > 5
    with pytest.raises(ValueError, match="resize=30 is smaller than the crop of 40"):
        object_crops.train(40, resize=30, proposals=False, flip=0.0, fill=FILL)


def test_a_proposal_near_an_object_is_taken_with_all_labels():
    transform = object_crops.train(48, resize=48, proposals=True, flip=0.0, fill=FILL)
    far, near = [60.0, 40.0, 80.0, 60.0], [8.0, 8.0, 42.0, 32.0]
    proposals = np.array([far, near], np.float32)
    for seed in range(4):
        found = draw(transform, {**photo(), "proposals": proposals}, seed)
        assert np.abs(found["image"][24, 24, :2].astype(int) - (25, 20)).max() <= 1  # always the near one
        assert {1, 2} <= set(np.unique(found["label_map"]).tolist())
    only_far = draw(transform, {**photo(), "proposals": proposals[:1]})
    assert set(np.unique(only_far["label_map"]).tolist()) & {1, 2}  # around an object instead


def test_an_image_without_objects_is_taken_whole():
    for proposals in (False, True):
        transform = object_crops.train(48, resize=48, proposals=proposals, flip=0.0, fill=FILL)
        found = draw(transform, {**photo(objects=False), "proposals": np.zeros((0, 4), np.float32)})
        assert (found["label_map"] == 0).all()
        assert found["image"][0, 0, 0] < 3 and found["image"][-1, -1, 0] > 76 and found["image"][-1, -1, 1] > 56


def test_a_test_image_has_its_best_proposals_enlarged_on_the_canvas():
    transform = object_crops.evaluate((30, 40), most=3, least=10, fill=FILL)  # half of the image's size
    boxes = np.array([[10, 10, 40, 30], [0, 0, 8, 8], [20, 20, 70, 50]], np.float32)
    found = draw(transform, {**photo(), "proposals": boxes})
    assert found["image"].shape == (30, 40, 3) and found["proposal_valid"].tolist() == [True, True, False]
    np.testing.assert_allclose(found["proposals"][0], [3.5, 4.0, 21.5, 16.0], rtol=1e-5)
    np.testing.assert_allclose(found["proposals"][1], [7.5, 8.5, 37.5, 26.5], rtol=1e-5)
    with pytest.raises(ValueError, match="has no proposals"):
        draw(transform, photo())
