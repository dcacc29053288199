"""Shared flags have help, and an experiment's own value or help replaces the shared one."""

import dataclasses

import pytest
from absl import flags

from experiments.detection import fast_rcnn, faster_rcnn, mask_rcnn, yolo
from jaxvision.recipes.detector_config import COCO, PHOTOS, SMOKE, VOC07, DetectorView, TwoStageConfig
from jaxvision.run.config import define_flags


def help_of(config) -> dict[str, str]:
    values = flags.FlagValues()
    define_flags(config, values)
    return {name: values[name].help for name in values}


@pytest.mark.parametrize("experiment", [fast_rcnn, faster_rcnn, mask_rcnn, yolo])
def test_every_flag_says_what_it_does(experiment):
    for name, text in help_of(experiment.Config()).items():
        assert len(text) > 10 or name.startswith(("optimizer", "detecting", "proposing", "reporting")), name


def test_help_is_shared_or_the_experiments_own():
    assert help_of(faster_rcnn.Config())["protocol"] == help_of(yolo.Config())["protocol"]
    assert "four steps" in help_of(faster_rcnn.Config())["steps"]
    assert "with masks" in help_of(mask_rcnn.Config())["data"]


def test_parts_of_presets_are_fields_of_the_config():
    for part in (VOC07, COCO, PHOTOS, SMOKE):
        config = TwoStageConfig(**part)
        assert {name: getattr(config, name) for name in part} == dict(part)


def test_a_view_makes_a_landscape_and_a_portrait_canvas_or_a_square():
    assert sorted(DetectorView(240, 320).make().shapes) == [(256, 320), (320, 256)]
    assert list(DetectorView(128, 128).make().shapes) == [(128, 128)]


def test_configs_are_fixed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TwoStageConfig().steps = 3  # type: ignore[misc]
