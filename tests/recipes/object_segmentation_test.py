"""DeconvNet's two stages: single objects, then proposals, and a test on the best proposals of each image."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.segmentation import deconvnet
from jaxvision.data.inputs import Inputs
from jaxvision.recipes.object_segmentation import ObjectFlags, ObjectSetup
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags
from jaxvision.recipes.segmentation import SegmenterTest
from jaxvision.train.devices import first_batch
from jaxvision.train.types import TrainState

CONFIG = dataclasses.replace(
    deconvnet.PRESETS["smoke"],
    objects=ObjectFlags(steps=2, resize=72, shown=3, least=8),
    proposals=SelectiveSearchFlags(most=16),
    test=SegmenterTest("proposals", (64, 64)),
)


def setup(workdir: Path) -> ObjectSetup:
    inputs = Inputs(workdir=workdir)
    source = inputs.source(CONFIG.data, "label_maps")
    return ObjectSetup(source, CONFIG, inputs, flags=CONFIG.objects, search=CONFIG.proposals)


def test_each_stage_has_its_own_crops_and_the_test_its_proposals(tmp_path: Path):
    parts = setup(tmp_path)
    state = TrainState(np.int32(0), {}, (), {}, {}, np.zeros(2, np.uint32))
    kept, metrics = parts.find_proposals(lambda *_: {}, state, lambda line: None)
    assert kept is state and 0 < metrics["proposals/val_an_image"] <= 16
    objects, proposals, val = (first_batch(data) for data in (parts.objects(), parts.train(), parts.val()))
    assert objects["image"].shape == proposals["image"].shape == (4, 64, 64, 3)
    for labels in objects["label_map"]:
        assert len(set(np.unique(labels).tolist()) - {0, 255}) <= 1  # one object alone
    assert val["proposals"].shape == (4, 3, 4) and val["proposal_valid"].dtype == bool
    user = first_batch(parts.presentation().data(parts.source["val"]))
    assert user["proposals"].shape == (4, 3, 4)


def test_the_second_stage_goes_on_from_the_first_and_each_cuts_its_rate(tmp_path: Path):
    paper = deconvnet.PRESETS["paper"]
    stages = deconvnet.build(dataclasses.replace(CONFIG, steps=8), Inputs(workdir=tmp_path)).stages
    assert [stage.name for stage in stages] == ["proposals", "objects", "train"]
    assert [stage.steps for stage in stages] == [0, 2, 8]
    assert stages[2].warm_start is not None
    new, learned = ({"w": jnp.full(2, value)} for value in (0.0, 1.0))
    empty = TrainState(np.int32(0), new, (), {}, {}, np.zeros(2, np.uint32))
    started = stages[2].warm_start(empty, {"objects": dataclasses.replace(empty, params=learned)})
    assert started.params is learned
    assert [20_000 * at for at in paper.objects.milestones] == [9000, 18_000]
    assert [40_000 * at for at in paper.optimizer.milestones] == [10_000, 20_000, 30_000]
    assert (paper.objects.steps, paper.objects.shown, paper.objects.resize) == (20_000, 50, 250)


def test_two_stages_are_tested_on_proposals(tmp_path: Path):
    wrong = dataclasses.replace(CONFIG, test=dataclasses.replace(CONFIG.test, look="whole"))
    with pytest.raises(ValueError, match="--objects.steps: proposals are tested too"):
        deconvnet.build(wrong, Inputs(workdir=tmp_path))
    unused = dataclasses.replace(CONFIG, view=dataclasses.replace(CONFIG.view, rotate=10.0))
    with pytest.raises(ValueError, match="--view.rotate: crops of objects and proposals do not use it"):
        deconvnet.build(unused, Inputs(workdir=tmp_path))
