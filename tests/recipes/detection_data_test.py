"""Data from which nothing can be learned is refused before the first step, and what is undefined is said there."""

import dataclasses
import re
from pathlib import Path

import pytest

from experiments.detection import fast_rcnn, faster_rcnn, mask_rcnn, rcnn, selective_search, yolo
from jaxvision.data import sources
from jaxvision.data.inputs import Inputs
from jaxvision.recipes.detection_data import check_objects, slots_of
from tests.recipes import crowded


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("absl.logging.warning", lambda text, *values: lines.append(text % values))
    return lines


def build(experiment, data: str, workdir: Path, **fields):
    return experiment.build(
        dataclasses.replace(experiment.PRESETS["smoke"], data=data), Inputs(workdir=workdir, **fields)
    )


@pytest.mark.parametrize("experiment", [fast_rcnn, faster_rcnn, mask_rcnn, rcnn, yolo])
def test_training_images_without_objects_are_refused(experiment, tmp_path: Path):
    data = crowded.write(tmp_path, "train", 0, 0, outlined=2)
    crowded.write(tmp_path, "val", 1, outlined=1)
    with pytest.raises(ValueError, match=rf"^--data={re.escape(data)}: none of the 2 images of train has an object: "):
        build(experiment, data, tmp_path)
    build(experiment, data, tmp_path, training=False)  # a trained network may be evaluated on them


def test_selective_search_needs_objects_to_measure_recall(tmp_path: Path):
    data = crowded.write(tmp_path, "val", 0)
    crowded.write(tmp_path, "train", 2)
    with pytest.raises(ValueError, match="none of the 1 images of val has an object: recall cannot be measured"):
        build(selective_search, data, tmp_path)


def test_masks_need_outlines_and_boxes_do_not(tmp_path: Path):
    data = crowded.write(tmp_path, "train", 2, 3)
    crowded.write(tmp_path, "val", 2)
    with pytest.raises(ValueError, match="none of the objects of train has an outline.*faster_rcnn learns boxes alone"):
        build(mask_rcnn, data, tmp_path)
    build(faster_rcnn, data, tmp_path)


@pytest.mark.parametrize("experiment", [faster_rcnn, rcnn, yolo])
def test_validation_images_without_objects_are_said_and_no_error(experiment, tmp_path: Path, said: list[str]):
    data = crowded.write(tmp_path, "train", 2, 3)
    crowded.write(tmp_path, "val", 0, 0, 0)
    build(experiment, data, tmp_path)
    assert said == ["val: none of its 3 images has an object: average precision is undefined, and left out"]


def test_limits_of_the_detections_are_said(tmp_path: Path, said: list[str]):
    source = sources.load(crowded.write(tmp_path, "train", 5))
    check_objects(source, "coco:x", "train", "train", most={"--detecting.detections": 4, "--proposals.most": 5})
    assert said == ["train: an image has 5 objects, of which at most 4 can be found; raise --detecting.detections"]


def test_objects_that_do_not_fit_and_many_slots_are_said(tmp_path: Path, said: list[str]):
    crowded.write(tmp_path, "val", 1)
    records = sources.load(crowded.write(tmp_path, "train", 5, 200, 9))["train"]
    assert slots_of(records, "train", 8).objects == 8
    assert "2 of 3 images have more than 8 objects" in said[0] and "--view.max_objects=0" in said[0]
    assert slots_of(records, "train", 0).objects == 256
    assert "slots for 256 objects" in said[1] and "--view.max_objects" in said[1]
    slots_of(records, "train", 200)
    slots_of(records, "train", 8, training=False)
    assert len(said) == 2
