import dataclasses
import pickle

import chex
import numpy as np
import pytest

from jaxvision.data import scenes
from jaxvision.data.record_cache import RecordCache


def test_records_hold_what_they_say():
    for size, objects in ((32, 3), (64, 8), (100, 1)):
        source = scenes.load(f"scenes:count=24,size={size},objects={objects}")
        for index in range(24):
            record = source["train"][index]
            image, boxes, labels = record["image"], record["boxes"], record["labels"]
            masks, label_map = record["masks"], record["label_map"]
            count = len(labels)
            assert image.shape == (size, size, 3) and image.dtype == np.uint8
            assert source["train"].extent(index) == (size, size)
            assert boxes.shape == (count, 4) and boxes.dtype == np.float32
            assert masks.shape == (count, size, size) and masks.dtype == np.bool_
            assert label_map.shape == (size, size) and label_map.dtype == np.uint8
            assert labels.dtype == np.int32 and 1 <= count <= objects
            assert labels.min() >= 1 and labels.max() <= 10


def test_boxes_are_tight_and_maps_agree_with_masks():
    train = scenes.load("scenes:count=40,size=96,objects=6")["train"]
    for index in range(len(train)):
        record = train[index]
        assert record["masks"].sum(axis=0).max() <= 1  # visible pixels belong to one instance
        label_map = np.zeros((96, 96), int)
        for box, label, mask in zip(record["boxes"], record["labels"], record["masks"], strict=True):
            rows, columns = np.nonzero(mask)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            label_map[mask] = label
        np.testing.assert_array_equal(record["label_map"], label_map)


def test_scenes_depend_on_seed_and_index_only():
    first, again = (scenes.load(f"scenes:count={count},size=64") for count in (10, 50))
    for split in ("train", "val"):
        one, other = first[split][1], pickle.loads(pickle.dumps(again[split]))[1]
        for key, value in one.items():
            np.testing.assert_array_equal(value, other[key])
    assert not np.array_equal(first["train"][0]["image"], first["train"][1]["image"])
    assert not np.array_equal(first["train"][0]["image"], first["val"][0]["image"])
    assert first["train"].name(3) == "scenes/0/3"


def test_what_stays_in_memory_is_limited_and_cannot_be_changed():
    cache = RecordCache(3 * (4 * 32**2 + 16))  # four labels at most in each
    records = dataclasses.replace(scenes.load("scenes:count=5,size=32")["train"], cache=cache)
    drawn = [records[i] for i in (4, 0, 1, 2, 3)]
    assert sorted(cache.records) == [0, 1, 4]
    with pytest.raises(ValueError, match="read-only"):
        drawn[1]["image"][:] = 0
    drawn[1].clear()
    chex.assert_trees_all_equal(records[0], scenes.load("scenes:count=5,size=32")["train"][0])


def test_digits_need_not_be_told_apart():
    apart, alike = scenes.load("scenes:count=4"), scenes.load("scenes:count=4,classes=1")
    assert alike.class_names == ("background", "digit")
    for split in ("train", "val"):
        one, other = apart[split][0], alike[split][0]
        np.testing.assert_array_equal(other["image"], one["image"])
        np.testing.assert_array_equal(other["label_map"], one["label_map"] > 0)
        assert other["labels"].tolist() == [1] * len(one["labels"])
    with pytest.raises(ValueError, match="classes=5: choose 10"):
        scenes.load("scenes:classes=5")
    with pytest.raises(ValueError, match="objects=256 is too many; choose 1 to 255"):
        scenes.load("scenes:objects=256")


def test_training_and_validation_share_no_handwriting():
    source = scenes.load("scenes")
    assert not set(source["train"].digits.ids) & set(source["val"].digits.ids)
    assert (len(source["train"]), len(source["val"])) == (1024, 256)
    assert source.class_names[0] == "background" and source.num_classes == 11
    with pytest.raises(IndexError):
        source["train"][1024]


def test_digits_stand_out_from_what_is_around_them():
    train = scenes.load("scenes:count=40")["train"]
    luma = np.array([0.299, 0.587, 0.114])
    for index in range(40):
        record = train[index]
        grey = record["image"] @ luma
        for mask in record["masks"]:
            assert mask.sum() > 30
        background = record["label_map"] == 0
        assert abs(np.median(grey[record["masks"][0]]) - np.median(grey[background])) > 30
        assert np.abs(np.diff(grey, axis=1)[background[:, 1:] & background[:, :-1]]).mean() < 12  # smooth


def test_mean_and_std_are_near_the_truth():
    images = np.stack([scenes.load("scenes:size=64")["train"][i]["image"] for i in range(150)]).astype(np.float32)
    np.testing.assert_allclose(images.mean(axis=(0, 1, 2)), scenes.MEAN, atol=12)
    np.testing.assert_allclose(images.std(axis=(0, 1, 2)), scenes.STD, atol=8)


def test_boxes_of_hand_made_masks():
    masks = np.zeros((2, 5, 7), bool)
    masks[0, 2, 3] = True
    masks[1, 0, 6] = masks[1, 4, 0] = True
    np.testing.assert_array_equal(scenes.boxes_of(masks), [[3, 2, 4, 3], [0, 0, 7, 5]])
    assert scenes.boxes_of(masks[:0]).shape == (0, 4)


def test_canvases_too_small_are_refused():
    with pytest.raises(ValueError, match="size=16 is too small"):
        scenes.load("scenes:size=16")
