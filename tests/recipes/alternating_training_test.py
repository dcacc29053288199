"""What each of the four steps of alternating training starts from, and what it trains."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from experiments.detection import faster_rcnn
from jaxvision.data.inputs import Inputs
from jaxvision.recipes import alternating_training as steps
from jaxvision.train.devices import first_batch
from jaxvision.train.steps import init_state
from jaxvision.train.types import TrainState

PARTS = ("backbone", "rpn", "box_head")


def state_of(value: float) -> TrainState:
    params = {part: {"kernel": np.full(2, value)} for part in PARTS}
    return init_state(jax.random.PRNGKey(0), {"params": params, "batch_stats": {"mean": np.full(2, value)}}, {})


def values(params: Any) -> dict[str, float]:
    return {part: float(params[part]["kernel"][0]) for part in PARTS}


def test_each_step_starts_from_what_the_paper_says():
    new, done = state_of(0.0), {"proposals": state_of(1.0), "regions": state_of(2.0), "shared-proposals": state_of(3.0)}
    second = steps._take_proposals(new, done)
    assert values(second.params) == dict.fromkeys(PARTS, 0.0) and values(second.aux["proposer"]["params"])["rpn"] == 1.0
    third = steps._take_backbone(new, done)
    assert values(third.params) == {"backbone": 2.0, "rpn": 0.0, "box_head": 2.0}
    fourth = steps._take_network(new, done)
    assert values(fourth.params) == dict.fromkeys(PARTS, 3.0)
    assert float(fourth.model_state["batch_stats"]["mean"][0]) == 3.0


def test_trained_parts_of_each_step():
    trained = {name: [part for part in PARTS if test(f"{part}/kernel")] for name, test in (
        ("proposals", steps._not_heads), ("regions", steps._not_rpn),
        ("shared-proposals", steps._rpn), ("shared-regions", steps._heads),
    )}  # fmt: skip
    assert trained == {
        "proposals": ["backbone", "rpn"],
        "regions": ["backbone", "box_head"],
        "shared-proposals": ["rpn"],
        "shared-regions": ["box_head"],
    }


def test_the_experiment_has_four_stages_of_which_the_last_is_timed():
    config = faster_rcnn.Config(**{**vars(faster_rcnn.PRESETS["smoke"]), "schedule": "alternating"})
    experiment = faster_rcnn.build(config, Inputs())
    assert [stage.name for stage in experiment.stages] == ["proposals", "regions", "shared-proposals", "shared-regions"]
    assert {stage.steps for stage in experiment.stages} == {2} and experiment.best == "val/AP50"
    planned = dataclasses.replace(config, alternation=steps.Alternation((3, 1, 4, 2), heads_batch=2), batch_size=1)
    stages = faster_rcnn.build(planned, Inputs()).stages
    assert [stage.steps for stage in stages] == [3, 1, 4, 2]
    assert [len(first_batch(stage.data)["image"]) for stage in stages] == [1, 2, 1, 2]
    with pytest.raises(ValueError, match="--alternation.steps=3,1: give four numbers"):
        faster_rcnn.build(dataclasses.replace(config, alternation=steps.Alternation((3, 1))), Inputs())
    names = [[hook.name for hook in stage.hooks] for stage in experiment.stages]
    assert names == [["val"], ["val", "detections"], ["val"], ["val", "detections", "times"]]
