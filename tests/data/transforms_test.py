import functools
import pickle

import numpy as np
import pytest

from jaxvision.data import crops, scenes, transforms

IMAGE = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def test_flip_moves_everything_together():
    record = scenes.load("scenes:count=1,size=64")["train"][0]
    flipped = transforms.horizontal_flip(1.0)(record, np.random.default_rng(0))
    np.testing.assert_array_equal(flipped["image"], record["image"][:, ::-1])
    np.testing.assert_array_equal(flipped["label_map"], record["label_map"][:, ::-1])
    np.testing.assert_array_equal(flipped["masks"], record["masks"][:, :, ::-1])
    np.testing.assert_array_equal(flipped["boxes"], scenes.boxes_of(flipped["masks"]))
    twice = transforms.horizontal_flip(1.0)(flipped, np.random.default_rng(0))
    for key, value in record.items():
        np.testing.assert_array_equal(twice[key], value)


def test_flipped_boxes_stay_ordered_and_inside():
    boxes = np.array([[0, 1, 10, 5], [-3, 0, 4, 2], [8, 0, 14, 3]], np.float32)
    mirrored = transforms.mirror_boxes(boxes, 10)
    np.testing.assert_array_equal(mirrored, [[0, 1, 10, 5], [6, 0, 10, 2], [0, 0, 2, 3]])
    assert mirrored.dtype == np.float32
    assert transforms.mirror_boxes(np.zeros((0, 4), np.float32), 10).shape == (0, 4)


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_flip_happens_with_its_probability(probability):
    flip = transforms.horizontal_flip(probability)
    outs = [flip({"image": IMAGE}, np.random.default_rng(seed))["image"] for seed in range(400)]
    share = np.mean([not np.array_equal(out, IMAGE) for out in outs])
    assert abs(share - probability) < 0.08


def test_compose_applies_in_order_with_one_generator():
    def add(record, rng, *, amount):
        return {"image": record["image"], "seen": [*record.get("seen", []), (amount, rng.random())]}

    both = transforms.compose(functools.partial(add, amount=1), functools.partial(add, amount=2))
    rng = np.random.default_rng(0)
    expected = [(1, rng.random()), (2, rng.random())]
    assert both({"image": IMAGE}, np.random.default_rng(0))["seen"] == expected
    assert transforms.compose()({"image": IMAGE}, rng)["image"] is IMAGE


def test_compose_leaves_decoding_to_a_first_transform_that_can():
    crop, flip = crops.inception_crop(4), transforms.horizontal_flip()
    assert isinstance(transforms.compose(crop, flip), transforms.FromFile)
    assert not isinstance(transforms.compose(flip, crop), transforms.FromFile)
    assert isinstance(pickle.loads(pickle.dumps(transforms.compose(crop, flip))), transforms.FromFile)
