"""COCO's average precision, class by class."""

import json

import numpy as np
import pytest

from jaxvision.evals.coco_ap import coco_ap
from jaxvision.evals.coco_classes import coco_classes

NAMES = ("background", "cat", "dog", "owl")


def test_each_class_has_its_mean_and_what_is_undefined_is_said_so():
    precision = np.full((10, 101, 2, 4, 3), -1.0)
    precision[:, :, 0, 0] = np.linspace(1.0, 0.1, 10)[:, None, None]
    precision[:, :, 0, 3] = 0.25
    found = coco_classes(precision, [1, 3], [7, 0], NAMES, "mask_")
    numbers = json.loads(found["mask_coco_per_class.json"])
    assert numbers["cat"] == {
        "objects": 7,
        **{"AP": 0.55, "AP50": 1.0, "AP75": 0.5, "AP_small": None, "AP_medium": None, "AP_large": 0.25},
    }
    assert numbers["owl"]["AP"] is None and list(numbers) == ["cat", "owl"]
    assert found["mask_coco_per_class"].ndim == 3


def test_the_mean_over_the_classes_is_the_figure_of_all():
    boxes = np.array([[[0.0, 0, 40, 40], [50, 50, 60, 60], [70, 0, 90, 20]]], np.float32)
    true = {"boxes": boxes, "labels": np.array([[1, 1, 2]]), "valid": np.ones((1, 3), bool)}
    image = {"ignore": np.array([[False, False, False]]), "scale": np.ones((1, 2), np.float32)}
    batch = {**true, **image, "image_id": np.array([3]), "size": np.array([[100, 100]]), "_mask": np.array([True])}
    outputs = {
        "boxes": boxes,
        "labels": np.array([[1, 2, 2]]),
        "valid": np.ones((1, 3), bool),
        "scores": np.array([[0.9, 0.8, 0.7]], np.float32),
    }
    metric = coco_ap(NAMES, per_class=True)
    found = metric.result(metric.update(metric.init(), outputs, batch))
    numbers = json.loads(found["coco_per_class.json"])
    assert {name: each["objects"] for name, each in numbers.items()} == {"cat": 2, "dog": 1}
    assert np.mean([each["AP"] for each in numbers.values()]) == pytest.approx(found["AP"], abs=1e-4)
    assert numbers["dog"]["AP_small"] == pytest.approx(0.5, abs=1e-4)
    assert not [key for key in coco_ap(NAMES).result([*metric.update([], outputs, batch)]) if "class" in key]
