"""YOLO's trunk is learned by naming images, and the detector goes on from there (Redmon et al. 2016, section 2.2)."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

import launch
from experiments.detection import yolo
from jaxvision.data.inputs import Inputs
from jaxvision.train.devices import first_batch
from jaxvision.train.steps import init_state
from jaxvision.train.types import TrainState
from jaxvision.weights import load

pytestmark = pytest.mark.usefixtures("plain")
DETECTOR = ["launch.py", "--experiment=detection/yolo", "--smoke", "--pretraining.steps=0"]


@pytest.mark.long
def test_the_detector_starts_from_the_trunk_of_a_classifier(tmp_path: Path):
    classifier, detector = tmp_path / "classifier", tmp_path / "detector"
    assert launch.main(["launch.py", "--experiment=classification/yolo", "--smoke", f"--workdir={classifier}"]) == 0
    start = [*DETECTOR, f"--init_from=workdir:{classifier}"]
    assert launch.main([*start, r"--optimizer.freeze=(conv|bn)[1-8]/", f"--workdir={detector}"]) == 0
    theirs, ours = (load.load(f"workdir:{run}").variables["params"] for run in (classifier, detector))
    assert len(theirs) == 16 and "fc" not in theirs and ours.keys() - theirs.keys() == {"predictions"}
    for layer, tree in theirs.items():
        for name, value in tree.items():
            np.testing.assert_array_equal(value, ours[layer][name], err_msg=f"{layer}/{name}")


@pytest.mark.long
def test_a_trunk_of_another_width_is_named(tmp_path: Path, capsys):
    classifier = tmp_path / "classifier"
    trained = ["launch.py", "--experiment=classification/yolo", "--smoke", "--width=0.125"]
    assert launch.main([*trained, f"--workdir={classifier}"]) == 0
    capsys.readouterr()
    start = [*DETECTOR, f"--init_from=workdir:{classifier}"]
    assert launch.main([*start, f"--workdir={tmp_path / 'detector'}"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ")
    assert "classification/yolo with width 0.125" in said
    assert "bn2/scale is (4,) in the file and (2,) in the network" in said


def test_the_objects_of_the_evaluated_images_are_counted_once(monkeypatch: pytest.MonkeyPatch):
    opened, counted = [], []
    monkeypatch.setattr(yolo, "evaluation_slots", lambda records: counted.append(len(records)) or 8)
    for kind in ("evaluate", "picture"):
        monkeypatch.setattr(yolo, kind, lambda *arguments, **named: opened.append(arguments[1]))
    yolo.build(dataclasses.replace(yolo.PRESETS["smoke"], pretraining=yolo.YOLOPretraining()), Inputs(shapes_only=True))
    assert not counted
    assert [next(iter(data(0, 1)))["boxes"].shape[1] for data in opened] == [8, 8, 8]
    assert len(counted) == 1


def state_of(value: float, layers: tuple[str, ...]) -> TrainState:
    """Convolutions and norms that hold nothing but `value`."""
    params = {layer: {"kernel": np.full(2, value)} for layer in layers}
    stats = {layer: {"mean": np.full(2, value)} for layer in layers if layer.startswith("bn")}
    return init_state(jax.random.PRNGKey(0), {"params": params, "batch_stats": stats}, {})


def test_the_detector_begins_with_the_trunk_that_named_objects_and_with_a_head_of_its_own():
    named = state_of(1.0, ("conv1", "bn1", "fc"))
    found = yolo._trunk(state_of(0.0, ("conv1", "bn1", "conv8", "bn8", "predictions")), {"pretrain": named})
    values = {layer: tree["kernel"][0] for layer, tree in found.params.items()}
    assert values == {"conv1": 1.0, "bn1": 1.0, "conv8": 0.0, "bn8": 0.0, "predictions": 0.0}
    assert {layer: tree["mean"][0] for layer, tree in found.model_state["batch_stats"].items()} == {"bn1": 1, "bn8": 0}


def test_a_grid_that_is_not_the_last_map_is_refused_before_anything_is_learned(tmp_path: Path, capsys):
    wrong = ["launch.py", "--experiment=detection/yolo", "--smoke", "--network.grid=3", f"--workdir={tmp_path}"]
    assert launch.main(wrong) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "error: --network.grid=3: set it to 2, view.size by stride, for per_cell"
    assert not (tmp_path / "metrics.jsonl").exists()


def test_objects_are_named_first_where_that_has_steps():
    config = yolo.PRESETS["smoke"]
    first, then = yolo.build(config, Inputs()).stages
    batch = first_batch(first.data)
    assert batch["image"].shape == (4, 16, 16, 3) and (batch["label"] > 0).all() and then.warm_start is yolo._trunk
    (only,) = yolo.build(dataclasses.replace(config, pretraining=yolo.YOLOPretraining()), Inputs()).stages
    assert only.warm_start is None
