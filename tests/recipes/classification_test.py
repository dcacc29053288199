"""The parts of a classification experiment: augmentation, test views, and what is said of an image."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from jaxvision.data.inputs import Inputs
from jaxvision.recipes.classification import (
    SMOKE,
    ClassifierAugment,
    ClassifierConfig,
    ClassifierSetup,
    ClassifierViews,
    describe,
    first_kernel,
)

CONFIG = ClassifierConfig(**SMOKE)
RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (40, 50, 3), np.uint8)


def setup(config: ClassifierConfig = CONFIG) -> ClassifierSetup:
    return ClassifierSetup(Inputs().source(config.data, "labels"), config, Inputs())


@pytest.mark.parametrize("crop", ["shift", "jitter", "inception"])
@pytest.mark.parametrize("color", ["none", "pca", "photometric"])
def test_training_images_have_the_size_and_vary(crop: str, color: str):
    augment = dataclasses.replace(ClassifierAugment(flip=True, shorter=(32, 48)), crop=crop, color=color)
    transform = augment.make(32)
    one, other = (transform({"image": PHOTO}, np.random.default_rng(seed))["image"] for seed in (0, 1))
    assert one.shape == other.shape == (32, 32, 3) and one.dtype == np.uint8
    assert np.any(one != other)


def test_a_flip_is_only_made_where_it_is_asked_for():
    ramp = np.repeat(np.arange(32, dtype=np.uint8)[None, :, None], 32, axis=0).repeat(3, axis=2)
    falling = {
        flip: sum(
            np.diff(transform({"image": ramp}, np.random.default_rng(seed))["image"][16, 8:24, 0].astype(int)).sum() < 0
            for seed in range(20)
        )
        for flip, transform in ((flip, ClassifierAugment(flip=flip).make(32)) for flip in (False, True))
    }
    assert falling[False] == 0 and 3 < falling[True] < 17


@pytest.mark.parametrize(
    ("views", "side", "count"),
    [
        (ClassifierViews(), 16, 1),
        (ClassifierViews(resize=24), 16, 1),
        (ClassifierViews("ten_crop", resize=24), 24, 10),
        (ClassifierViews("multi_scale", sizes=(16, 20)), 20, 4),
    ],
    ids=str,
)
def test_a_test_image_has_the_size_on_the_host_and_the_views_on_the_device(
    views: ClassifierViews, side: int, count: int
):
    transform, cut = views.make(16)
    image = transform({"image": PHOTO}, np.random.default_rng(0))["image"]
    assert image.shape == (side, side, 3)
    assert len(jax.eval_shape(cut, image[None].astype(np.float32))) == count


@pytest.mark.parametrize(
    ("views", "shape", "count"),
    [
        (ClassifierViews("144_crop"), (22, 28), 144),
        (ClassifierViews("multi_scale", sizes=(16, 24), whole=True), (24, 30), 4),
    ],
    ids=str,
)
def test_whole_test_images_are_grouped_by_their_shape(views: ClassifierViews, shape: tuple[int, int], count: int):
    transform, cut = views.make(14)
    image = transform({"image": PHOTO}, np.random.default_rng(0))["image"]
    assert image.shape == (*shape, 3)
    assert len(jax.eval_shape(cut, image[None].astype(np.float32))) == count
    parts = setup(dataclasses.replace(CONFIG, test=views, image_size=14))
    held_out = parts.source["val"]
    groups = views.groups(held_out)
    assert groups is not None and ClassifierViews().groups(held_out) is None
    assert sum(int(batch["_mask"].sum()) for batch in parts.val()(0, 1)) == len(held_out)


def test_data_are_batches_of_training_images_and_every_held_out_image_once():
    parts = setup()
    batch = next(parts.train()(0, 1))
    assert batch["image"].shape == (8, 32, 32, 3) and batch["label"].shape == (8,)
    held_out = sum(int(batch["_mask"].sum()) for batch in parts.val()(0, 1))
    assert held_out == len(parts.source["val"])


def test_hooks_are_named_and_as_frequent_as_the_config_says():
    hooks = setup(dataclasses.replace(CONFIG, eval_every=7)).hooks()
    assert [(hook.name, hook.every) for hook in hooks] == [("val", 7), ("predictions", 0), ("filters", 0)]


def test_an_image_is_described_by_its_five_most_probable_classes():
    probabilities = np.array([0.1, 0.05, 0.4, 0.2, 0.15, 0.1])
    said = describe(probabilities, ["a", "b", "c", "d", "e", "f"])
    assert said["label"] == "c"
    assert list(said["probabilities"].items()) == [("c", 0.4), ("d", 0.2), ("e", 0.15), ("a", 0.1), ("f", 0.1)]
    assert json.loads(json.dumps(said)) == said


def test_a_user_s_images_are_drawn_and_described_without_labels():
    parts = setup()
    presentation = parts.presentation()
    batch = next(iter(presentation.data(parts.source["val"])(0, 1)))
    unlabelled = {key: value for key, value in batch.items() if key != "label"}
    probabilities = np.eye(10, dtype=np.float32)[np.asarray(batch["label"]) % 10]
    picture = presentation.draw({"probabilities": probabilities}, unlabelled)
    assert picture.dtype == np.uint8 and picture.ndim == 3
    row = 0
    name = parts.source.class_names[int(batch["label"][row])]
    assert presentation.describe({"probabilities": probabilities}, unlabelled, row)["label"] == name


def test_the_first_kernel_is_found_in_either_naming():
    kernel = np.zeros((3, 3, 3, 4))
    assert first_kernel({"conv1": {"kernel": kernel}, "fc": {}}) is kernel
    assert first_kernel({"conv1_1": {"conv": {"kernel": kernel}}}) is kernel
