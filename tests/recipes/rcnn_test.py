"""R-CNN, killed in each of its stages and started again, ends with the arrays and figures of a run that was not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
import pytest
from PIL import Image

import launch
from experiments.detection.rcnn import PRESETS
from jaxvision.data import feature_store, sources
from jaxvision.data.inputs import Inputs
from jaxvision.fits import hard_negatives
from jaxvision.ops.dispatch import plain_forms
from jaxvision.recipes import detection_times, rcnn, rcnn_fits, searched_proposals
from jaxvision.train.writer import Writer, read_metrics

FLAGS = ("--experiment=detection/rcnn", "--smoke", "--steps=4", "--log_every=1", "--save_every=2")
STAGES = ("proposals", "finetune", "features", "svm", "regression", "test")
# Where each stage is killed: the function, and the call of it that does not return.
DEATHS: dict[str, tuple[Any, str, int]] = {
    "proposals": (searched_proposals, "stored", 2),
    "finetune": (Writer, "write", 5),  # of the third step
    "features": (feature_store, "_save", 4),
    "svm": (hard_negatives, "solve", 5),
    "regression": (rcnn_fits, "fit", 3),
    "test": (detection_times, "seconds", 6),
}


class Killed(BaseException):
    """Nothing but the operating system cleans up behind it."""


def run(workdir: Path, *flags: str) -> None:
    with plain_forms():  # which compile sooner
        assert launch.main(["launch.py", *FLAGS, *flags, f"--workdir={workdir}"]) == 0


def kill_in(stage: str, workdir: Path) -> None:
    owner, name, deadly = DEATHS[stage]
    whole, calls = getattr(owner, name), []

    def fragile(*arguments, **named):
        calls.append(1)
        if len(calls) == deadly:
            raise Killed
        return whole(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(owner, name, fragile)
        run(workdir)


def learned(workdir: Path) -> dict[str, np.ndarray]:
    """Every array of the detector."""
    state = ocp.StandardCheckpointer().restore(workdir / "checkpoints" / "test" / "0" / "state")
    leaves: list[tuple[str, np.ndarray]] = []

    def visit(path: str, tree: Any) -> None:
        for key, value in tree.items():
            visit(f"{path}/{key}", value) if isinstance(value, dict) else leaves.append((f"{path}/{key}", value))

    visit("", state["params"])
    return dict(leaves)


def figures(workdir: Path) -> dict[str, float]:
    """All that does not depend on the clock."""
    rows = read_metrics(workdir / "metrics.jsonl")
    return {
        f"{row['stage']} {row['step']} {key}": value
        for row in rows
        for key, value in row.items()
        if "/" in key and not key.startswith(("time/", "test/seconds"))
    }


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("straight")
    run(workdir)
    return workdir


@pytest.mark.long
@pytest.mark.parametrize("stages", [("svm",), STAGES], ids=["svm", "every"])
def test_killed_in_its_stages_it_ends_the_same(straight: Path, tmp_path: Path, stages: tuple[str, ...]):
    for stage in stages:
        kill_in(stage, tmp_path)
        assert not (tmp_path / "checkpoints" / stage / "finished").exists()
        before = STAGES[: STAGES.index(stage)]
        assert all((tmp_path / "checkpoints" / done / "finished").exists() for done in before)
    run(tmp_path)
    expected, found = learned(straight), learned(tmp_path)
    assert expected.keys() == found.keys() and {key.split("/")[1] for key in found} == {"network", "svm", "regression"}
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)
    assert figures(tmp_path) == figures(straight)
    assert any(np.abs(value).max() > 0 for key, value in found.items() if key.startswith("/svm"))


@pytest.mark.long
def test_from_stage_does_it_and_later_ones_again_on_what_earlier_ones_left(straight: Path):
    shards = {p: p.stat().st_mtime_ns for p in (straight / "artefacts" / "features").glob("*.npy")}
    before = learned(straight)
    run(straight, "--from_stage=svm", "--svm.c=0.1")
    after = learned(straight)
    assert shards and shards == {p: p.stat().st_mtime_ns for p in shards}
    changed = {key.split("/")[1] for key in after if not np.array_equal(after[key], before[key])}
    assert changed == {"svm"}
    assert json.loads((straight / "config.json").read_text())["config"]["svm.c"] == 0.1
    assert len([r for r in read_metrics(straight / "metrics.jsonl") if r["stage"] == "svm"]) == 1
    assert launch.main(["launch.py", *FLAGS, "--from_stage=svms", "--svm.c=0.1", f"--workdir={straight}"]) == 2
    run(straight, "--from_stage=svm")


@pytest.mark.long
def test_it_is_evaluated_and_predicts(straight: Path, tmp_path: Path):
    Image.fromarray(sources.load("scenes:count=1,size=64")["val"][0]["image"]).save(tmp_path / "photo.png")
    run(straight, "--mode=evaluate")
    assert "val/AP50_unmoved" in json.loads((straight / "evaluation.json").read_text())
    run(straight, "--mode=predict", f"--input={tmp_path}/photo.png")
    said = json.loads((straight / "predictions.json").read_text())
    assert said["images"][0]["width"] == 64 and len(said["categories"]) == 10
    assert (straight / "predictions" / "photo.png").exists()


@pytest.mark.long
def test_what_the_stages_left_can_be_looked_at(straight: Path):
    for name in ("proposals", "windows", "hard_negatives", "detections", "val_worst_errors"):
        assert list((straight / "images").glob(f"{name}-*.png")), name
    rows = {key: value for row in read_metrics(straight / "metrics.jsonl") for key, value in row.items()}
    assert {f"time/{stage}_seconds" for stage in STAGES[:-1]} <= rows.keys()
    parts = ("proposals", "features", "heads", "post_processing")
    assert rows["test/seconds_image"] == pytest.approx(sum(rows[f"test/seconds_{part}"] for part in parts))
    assert rows["features/megabytes"] > 0 and rows["proposals/megabytes"] > 0


def test_the_objects_of_the_evaluated_images_are_counted_once(monkeypatch: pytest.MonkeyPatch):
    counted: list[int] = []
    monkeypatch.setattr(rcnn, "evaluation_slots", lambda records: counted.append(len(records)) or 8)
    config, inputs = PRESETS["smoke"], Inputs(shapes_only=True)
    setup = rcnn.RCNNSetup(config, inputs, inputs.source(config.data, "boxes"))
    assert not counted
    for data in (setup.val(), setup.sample(), setup.val()):
        assert next(iter(data(0, 1)))["boxes"].shape[1] == 8
    assert len(counted) == 1
