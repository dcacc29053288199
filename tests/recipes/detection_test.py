"""The parts of a two-stage detector's experiment, without training one."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.detection import fast_rcnn, faster_rcnn, mask_rcnn, rcnn, yolo
from jaxvision.data.inputs import Inputs
from jaxvision.recipes.detection import DetectorSetup
from jaxvision.train.devices import first_batch
from jaxvision.train.steps import init_state
from jaxvision.train.types import TrainState
from tests.recipes import crowded


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
    _, metrics = setup.search(lambda state, batch: {}, nothing(), said.append)
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


def nothing() -> TrainState:
    """The state of a network without weights."""
    return init_state(jax.random.PRNGKey(0), {"params": {}}, {})


def truth(state: TrainState, batch: dict) -> dict:
    """The outputs of a detector, and of a proposal network, that are never wrong."""
    scores = batch["valid"].astype(np.float32)
    boxes = {"boxes": batch["boxes"], "labels": batch["labels"], "scores": scores, "valid": batch["valid"]}
    proposals = {"proposals": batch["boxes"], "proposal_scores": scores, "proposal_valid": batch["valid"]}
    return {**boxes, **proposals, "unmoved": boxes, **({"masks": batch["masks"] / 255} if "masks" in batch else {})}


@pytest.mark.parametrize("experiment", [fast_rcnn, faster_rcnn, mask_rcnn, rcnn, yolo])
@pytest.mark.parametrize(("count", "slots"), [(1, 0), (40, 8), (600, 0)])
def test_every_object_is_evaluated(experiment, count: int, slots: int, tmp_path: Path):
    data = crowded.write(tmp_path, "train", count, 2, outlined=count)
    crowded.write(tmp_path, "val", count, 2, count, outlined=count)
    config = experiment.PRESETS["smoke"]
    view = dataclasses.replace(config.view, max_objects=slots)
    built = experiment.build(dataclasses.replace(config, data=data, view=view), Inputs(workdir=tmp_path / "run"))
    if experiment is fast_rcnn:
        first_batch(built.stages[1].data)
    found = built.stages[-1].hooks[0].run(truth, nothing())
    assert found["val/AP"] == pytest.approx(1.0) and found["val/AP50"] == pytest.approx(1.0)
    assert found.get("val/mask_AP50", 1.0) == pytest.approx(1.0)
    assert (found["val/images"], found["val/objects"]) == (3.0, 2.0 * count + 2) and found["val/unread_images"] == 0.0


def test_sizes_go_by_the_annotated_area(tmp_path: Path):
    data = crowded.write(tmp_path, "train", 1, size=(120, 120), area=600.0)
    crowded.write(tmp_path, "val", 1, size=(120, 120), area=600.0)  # its box has 8,100 square pixels
    found = setup_of(faster_rcnn, data=data).hooks()[0].run(truth, nothing())
    assert found["val/AP_small"] == 1.0 and "val/AP_medium" not in found


def test_images_without_objects_have_no_average_precision(tmp_path: Path):
    data = crowded.write(tmp_path, "train", 1)
    crowded.write(tmp_path, "val", 0, 0)
    for protocol in ("coco", "voc07_11pt"):
        found = setup_of(faster_rcnn, data=data, protocol=protocol).hooks()[0].run(truth, nothing())
        assert found["val/images"] == 2.0 and found["val/objects"] == 0.0 and "val/AP50" not in found


def test_training_has_room_for_all_objects_or_ignores_the_rest(tmp_path: Path):
    data = crowded.write(tmp_path, "train", 300, 9, size=(2500, 2300))
    crowded.write(tmp_path, "val", 1)
    setup = setup_of(faster_rcnn, data=data, batch_size=2)
    assert first_batch(setup.train())["valid"].sum() == 309
    few = setup_of(faster_rcnn, data=data, batch_size=2, view=dataclasses.replace(setup.config.view, max_objects=8))
    batch = first_batch(few.train())
    assert (batch["valid"] & ~batch["ignore"]).sum() == 16 and (batch["valid"] & batch["ignore"]).sum() == 17


@pytest.mark.long
@pytest.mark.parametrize(("experiment", "slots"), [(faster_rcnn, 8), (mask_rcnn, 0)])
def test_crowded_images_and_tiny_boxes_are_learned_from_with_finite_losses(experiment, slots: int, tmp_path: Path):
    view = dataclasses.replace(experiment.PRESETS["smoke"].view, max_objects=slots)
    tiny = {"bbox": [30.0, 20.0, 1e-4, 1e-4]}
    for name, fields in (("crowd", {}), ("tiny", tiny)):
        for split in ("train", "val"):
            crowded.write(tmp_path / name, split, 300, 300, outlined=150, **fields)
    setups = [
        setup_of(experiment, data=f"coco:{tmp_path / name}", batch_size=2, view=view) for name in ("crowd", "tiny")
    ]
    batches = [first_batch(setup.train()) for setup in setups]
    task = setups[0].task()
    state, step = jax.jit(task.init)(jax.random.PRNGKey(0), batches[0]), jax.jit(task.step)
    for batch in batches:
        state, metrics = step(state, batch)
        assert all(np.isfinite(value) for value in metrics.values()) and metrics["loss_classifier"] > 0
