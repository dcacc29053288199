"""The parts of a two-stage detector's experiment, without training one."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.detection import fast_rcnn, faster_rcnn, mask_rcnn
from jaxvision.data.inputs import Inputs
from jaxvision.recipes.detection import DetectorSetup
from jaxvision.train.devices import first_batch
from jaxvision.train.steps import init_state


def setup_of(experiment, workdir: Path = Path(), **changes) -> DetectorSetup:
    config = dataclasses.replace(experiment.PRESETS["smoke"], **changes)
    inputs = Inputs(workdir=workdir)
    source = inputs.source(config.data)
    masks = {"masks": True} if experiment is mask_rcnn else {}
    network = config.network.make(source.num_classes, **masks)
    return DetectorSetup(config, inputs, source, network, getattr(config, "proposing", None) or config.proposals)


def test_batches_have_masks_where_the_network_does():
    assert "masks" not in first_batch(setup_of(faster_rcnn).train())
    batch = first_batch(setup_of(mask_rcnn).train())
    assert batch["image"].shape == (4, 64, 64, 3) and batch["masks"].shape[:2] == batch["boxes"].shape[:2]
    assert "proposals" not in batch


def test_batches_have_searched_proposals_which_are_written_once(tmp_path: Path):
    setup = setup_of(fast_rcnn, tmp_path)
    said: list[str] = []
    nothing = init_state(jax.random.PRNGKey(0), {"params": {}}, {})
    _, metrics = setup.search(lambda state, batch: {}, nothing, said.append)
    counts = [len(setup.source[split]) for split in ("train", "val")]
    assert said == [f"proposals: {counts[0]} train images", f"proposals: {counts[1]} val images"]
    assert 0 < metrics["proposals/train_an_image"] <= 16 and 0 < metrics["proposals/val_an_image"] <= 16
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "artefacts").rglob("*") if p.is_file()}
    for data in (setup.train(), setup.val()):
        batch = first_batch(data)
        assert batch["proposals"].shape == (4, 16, 4) and batch["proposal_valid"].any()
    assert files == {p: p.stat().st_mtime_ns for p in (tmp_path / "artefacts").rglob("*") if p.is_file()}


def test_a_wrong_split_is_named_before_training():
    with pytest.raises(ValueError, match="tset"):
        setup_of(faster_rcnn, val_split="tset").val()


def test_recall_is_of_all_proposals_and_of_the_best():
    setup = setup_of(faster_rcnn)
    boxes = np.tile(np.array([[0, 0, 9, 9]], np.float32), (1, 16, 1))
    outputs = {"proposals": boxes, "proposal_scores": np.ones((1, 16)), "proposal_valid": np.ones((1, 16), bool)}
    objects = {"boxes": boxes[:, :1], "valid": np.ones((1, 1), bool), "ignore": np.zeros((1, 1), bool)}
    place = {"scale": np.ones((1, 2)), "size": np.full((1, 2), 64.0), "image_id": np.zeros(1, int)}
    batch = {**objects, **place, "labels": np.ones((1, 1), np.int32), "_mask": np.ones(1, bool)}
    metric = setup.recall()
    found = metric.result(metric.update(metric.init(), outputs, batch))
    assert {key.rpartition("_")[2] for key in found} == {"10", "16"} and found["proposal_recall50_10"] == 1.0


def test_hooks_evaluate_and_draw_as_often_as_the_flags_say():
    assert [(hook.name, hook.every) for hook in setup_of(faster_rcnn, eval_every=7).hooks()] == [
        ("val", 7),
        ("detections", 7),
    ]
