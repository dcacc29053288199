"""Curves, best scores and confusions of a detector, by hand and against the metric of average precision."""

import json

import numpy as np
import pytest

from jaxvision.evals import detection_curves as module
from jaxvision.evals.detection import read
from jaxvision.evals.voc_ap import voc_ap
from tests.evals.detection_cases import NAMES, evaluate, random_batches


def records_of(batches: list) -> list:
    return [record for outputs, batch in batches for record in read(outputs, batch, len(NAMES))]


def test_the_area_is_that_of_voc():
    batches = random_batches(3)
    expected = evaluate(voc_ap(NAMES, "voc10_area"), batches)
    curves = module.class_curves(records_of(batches), len(NAMES))
    assert {f"AP50_{NAMES[c.label]}": c.ap for c in curves} == {k: v for k, v in expected.items() if k != "AP50"}
    for curve in curves:
        assert curve.f1[curve.best] == curve.f1.max() and np.all(np.diff(curve.scores) <= 0)
        assert curve.recall[-1] <= 1 and np.all(np.diff(curve.recall) >= 0)


def test_every_object_is_counted_once():
    records = records_of(random_batches(5))
    curves = module.class_curves(records, len(NAMES))
    counts = module.confusion(records, curves, len(NAMES))
    objects = [sum(int(np.sum((r.true_labels == k) & ~r.ignore)) for r in records) for k in range(1, len(NAMES))]
    assert counts[1:].sum(axis=1).tolist() == objects and counts[0, 0] == 0


def one_image(**changed: list) -> tuple[dict, dict]:
    """A cat and a dog; the cat is found, the dog taken for a cow, and a second cat seen in the background."""
    boxes = np.array([[[0, 0, 10, 10], [20, 20, 30, 30]]], np.float32)
    found = np.array([[[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]]], np.float32)
    outputs = {
        "boxes": found,
        "scores": np.array([[0.9, 0.8, 0.3]], np.float32),
        "labels": np.array([[1, 3, 1]]),
        "valid": np.ones((1, 3), bool),
    }
    batch = {
        "boxes": boxes,
        "labels": np.array([[1, 2]]),
        "valid": np.ones((1, 2), bool),
        "ignore": np.zeros((1, 2), bool),
        "image_id": np.array([0]),
        "size": np.array([[64, 64]]),
        "scale": np.ones((1, 2)),
        "_mask": np.ones(1, bool),
    }
    return outputs, batch | {k: np.array(v) for k, v in changed.items()}


def test_an_image_by_hand():
    found = evaluate(module.detection_curves(NAMES), [one_image()])
    numbers = json.loads(found["per_class.json"])
    assert numbers["cat"] == {
        "objects": 1, "ap50": 1.0, "least_score": 0.9, "f1": 1.0, "precision": 1.0, "recall": 1.0,
    }  # fmt: skip
    assert numbers["dog"] == {"objects": 1, "ap50": 0.0} and "cow" not in numbers
    assert {name for name, value in found.items() if isinstance(value, np.ndarray)} == {
        *("precision_recall", "per_class", "confusion_matrix")
    }
    records = records_of([one_image()])
    counts = module.confusion(records, module.class_curves(records, len(NAMES)), len(NAMES))
    assert counts.tolist() == [
        [0, 0, 0, 0],
        [0, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 0],
    ]  # no cow is known: no least score


def test_a_crowd_takes_any_number_and_is_no_object():
    records = records_of([one_image(ignore=[[True, False]])])
    curve = module.ClassCurve(1, 1, np.array([0.3]), np.ones(1), np.ones(1), 1.0)
    counts = module.confusion(records, [curve], len(NAMES))
    assert counts.tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("ignore", [[[True, True]]])
def test_without_objects_there_is_nothing(ignore: list):
    assert evaluate(module.detection_curves(NAMES), [one_image(ignore=ignore)]) == {}


def test_many_classes_have_no_matrix():
    names = ("background", *map(str, range(1, 80)))
    assert "confusion_matrix" not in evaluate(module.detection_curves(names), [one_image()])
