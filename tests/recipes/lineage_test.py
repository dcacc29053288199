"""Detectors side by side: the same data for all, one search for two, and a run that was stopped says the same."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import launch
from experiments.detection import lineage
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Source
from jaxvision.ops.dispatch import plain_forms
from jaxvision.recipes.comparison_table import Ran
from jaxvision.recipes.lineage import PUBLISHED, STEPS, Measured, mean, measured, summary
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags
from jaxvision.train.writer import Writer, read_metrics

METHODS = ("rcnn", "yolo")  # of runs here; tests/experiments_test.py has others
EVERY = dataclasses.replace(lineage.PRESETS["smoke"], methods=tuple(lineage.MODULES))
STAGES = [
    *("proposals", "rcnn-0-finetune", "rcnn-0-features", "rcnn-0-svm", "rcnn-0-regression", "rcnn-0-test"),
    *("fast_rcnn-0-train", "faster_rcnn-0-train", "yolo-0-pretrain", "yolo-0-train", "comparison"),
]
OF_RCNN = {stage.removeprefix("rcnn-0-"): stage for stage in STAGES[:6]}


@pytest.mark.parametrize("method", lineage.MODULES)
@pytest.mark.parametrize("preset", lineage.PRESETS)
def test_every_method_has_the_data_and_the_resnet_of_all(method: str, preset: str):
    own = dataclasses.replace(lineage.PRESETS[preset], data="scenes:count=7", val_split="val[:3]", depth=50, steps=7)
    config = lineage.settings(method, own)
    same = [getattr(config, name) for name in ("data", "train_split", "val_split", "protocol", "steps")]
    assert same == ["scenes:count=7", own.train_split, "val[:3]", own.protocol, 7]
    if method != "yolo":
        assert (config.network.depth, config.network.width) == (50, own.width)
        kind = getattr(config.network, "backbone", "") or config.network.kind
        assert kind.startswith("resnet")
        config.network.make(11)
    if method in ("rcnn", "fast_rcnn"):
        assert config.proposals == own.proposals
    assert lineage.settings(method, dataclasses.replace(own, steps=0)).steps > 0


def test_proposals_are_searched_for_once_and_shared(tmp_path: Path):
    config = dataclasses.replace(EVERY, proposals=SelectiveSearchFlags(most=5))
    stages = {s.name: s for s in lineage.build(config, Inputs(workdir=tmp_path)).stages}
    assert list(stages) == STAGES
    alone = dataclasses.replace(config, methods=("faster_rcnn", "fast_rcnn"))
    assert [s.name for s in lineage.build(alone, Inputs(workdir=tmp_path)).stages] == [
        *("faster_rcnn-0-train", "proposals", "fast_rcnn-0-train", "comparison")
    ]


def test_a_method_that_does_not_exist_is_named():
    config = dataclasses.replace(lineage.PRESETS["smoke"], methods=("sppnet",))
    with pytest.raises(ValueError, match="--methods: there is no sppnet; known are rcnn, "):
        lineage.build(config, Inputs())


def test_what_was_measured_is_read_off_the_rows():
    rows: list[dict[str, Any]] = [
        {"stage": "proposals", "step": 0, "time/proposals_seconds": 60.0},
        {"stage": "rcnn-0-finetune", "step": 2, "time/rcnn-0-finetune_seconds": 30.0, "val/AP50": 0.1},
        {"stage": "rcnn-0-svm", "step": 0, "time/rcnn-0-svm_seconds": 5.0},
        {"stage": "rcnn-0-test", "step": 0, "val/AP50": 0.2, "test/seconds_heads": 0.5, "test/parameters": 7.0},
        {"stage": "rcnn-0-test", "step": 0, "val/AP50": 0.3},
    ]
    found = measured(Ran(OF_RCNN, rows), {"proposals": 4.0})
    assert found.ap["AP50"] == 0.3 and math.isnan(found.ap["AP"])
    assert [found.training[step] for step in STEPS[:2]] == [60.0, 30.0] and found.training["SVMs"] == 5.0
    assert math.isnan(found.training["features"]) and found.testing["heads"] == 0.5 and found.parameters == 7.0
    assert found.disk["proposals"] == 4.0 and found.disk["features"] == 0.0
    again = measured(Ran(OF_RCNN, [*rows, {"stage": "rcnn-0-test", "step": 0, "val/AP50": 0.5}]), {})
    both = mean([found, again])
    assert both.ap["AP50"] == pytest.approx(0.4) and math.isnan(both.ap["AP"]) and both.disk["proposals"] == 2.0
    assert mean([found]).training["SVMs"] == 5.0 and both.parameters == 7.0


def one(ap50: float, proposals: float, searched: bool) -> Measured:
    training = dict.fromkeys(STEPS, math.nan) | {"network": 120.0} | ({"proposals": 60.0} if searched else {})
    testing = {"proposals": proposals, "features": 0.25, "heads": 0.0, "post_processing": math.nan}
    return Measured(
        {"AP50": ap50, "AP": math.nan}, training, testing, {"proposals": 0.0, "features": 0.0, "network": 2.0}, 3e6
    )


def test_the_tables_hold_what_was_measured_and_both_printed_times():
    result = summary({"fast_rcnn": one(0.5, 1.0, True), "yolo": one(0.25, 0.1, False)}, ["a note"])
    text = result["lineage"]
    cells: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        first, *rest = (cell.strip() for cell in line.strip("| ").split("|"))
        cells.setdefault(first, []).append(rest)
    assert cells["Fast R-CNN"][0] == ["0.500", "–", "1000.0", "250.0", "0.0", "–", "1250.0", "250.0"]
    assert cells["YOLO"][0][-2:] == ["350.0", "350.0"]
    assert cells["YOLO"][1][:2] == ["–", "2.00"] and cells["YOLO"][1][-1] == "3.00"
    assert cells["Fast R-CNN"][2] == ["VGG-16", "0.669", "0.197", "9.5", "8.75", "0.32", "2.3", "–"]
    assert "a note" in text and "Faster R-CNN |" not in text
    assert result["fast_rcnn/seconds_an_image"] == 1.25 and result["yolo/training_minutes"] == 2.0
    assert result["yolo/AP50"] == 0.25 and "yolo/AP" not in result
    assert result["lineage_figure"].dtype == np.uint8


def test_printed_figures_fall_as_the_papers_say():
    seconds = [PUBLISHED[name].testing for name in lineage.MODULES]
    assert all(isinstance(value, float) for _, *values in PUBLISHED.values() for value in values)
    assert list(PUBLISHED) == list(lineage.MODULES) and seconds == sorted(seconds, reverse=True)
    assert PUBLISHED["rcnn"].testing / PUBLISHED["fast_rcnn"].testing == pytest.approx(146, abs=1)
    assert PUBLISHED["rcnn"].training / PUBLISHED["fast_rcnn"].training == pytest.approx(8.8, abs=0.1)


class Killed(BaseException):
    """Nothing but the operating system cleans up behind it."""


def run(workdir: Path, methods: tuple[str, ...] = METHODS) -> None:
    flags = ["--experiment=detection/lineage", "--smoke", f"--methods={','.join(methods)}", f"--workdir={workdir}"]
    with plain_forms():  # which compile sooner
        assert launch.main(["launch.py", *flags]) == 0


def kill_in(stage: str, workdir: Path, methods: tuple[str, ...] = METHODS) -> None:
    whole = Writer.write

    def fragile(self: Writer, name: str, step: int, values: Any) -> None:
        if name == stage:
            raise Killed
        whole(self, name, step, values)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Writer, "write", fragile)
        run(workdir, methods)


@pytest.mark.long
def test_killed_in_the_comparison_it_says_what_was_measured_before(tmp_path: Path):
    kill_in("comparison", tmp_path, ("yolo",))
    before = read_metrics(tmp_path / "metrics.jsonl")
    run(tmp_path, ("yolo",))
    *kept, end = read_metrics(tmp_path / "metrics.jsonl")
    assert kept == before and end["stage"] == "comparison"
    assert end["yolo/AP50"] == [row["val/AP50"] for row in before if "val/AP50" in row][-1]
    assert end["yolo/seconds_an_image"] > 0 and "| YOLO" in (tmp_path / "lineage.md").read_text()


@pytest.mark.long
def test_killed_and_started_again_it_says_the_same(tmp_path: Path):
    for stage in ("rcnn-0-svm", "comparison"):
        kill_in(stage, tmp_path / "killed")
        before = [name for name in STAGES[: STAGES.index(stage)] if not name.startswith("fast")]
        assert all((tmp_path / "killed" / "checkpoints" / done / "finished").exists() for done in before)
    run(tmp_path / "killed")
    run(tmp_path / "straight")
    ends = [read_metrics(tmp_path / name / "metrics.jsonl")[-1] for name in ("killed", "straight")]
    same = [{k: v for k, v in end.items() if "AP" in k or "megabytes" in k} for end in ends]
    assert same[0] == same[1] and {f"{name}/AP50" for name in METHODS} <= same[0].keys()
    assert {f"{name}/seconds_an_image" for name in METHODS} <= ends[0].keys()
    pictures = {path.name.rpartition("-")[0] for path in (tmp_path / "killed" / "images").glob("*.png")}
    assert {f"{name}-0_detections" for name in METHODS} | {"lineage_figure"} <= pictures
    assert "| YOLO" in (tmp_path / "killed" / "lineage.md").read_text()


def test_the_source_is_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    opened: list[str] = []
    whole = Inputs.source

    def counted(self: Inputs, spec: str, *needs: Any) -> Source:
        opened.append(spec)
        return whole(self, spec, *needs)

    monkeypatch.setattr(Inputs, "source", counted)
    config = dataclasses.replace(EVERY, data="scenes:count=9,size=64")
    lineage.build(config, Inputs(workdir=tmp_path))
    assert opened == ["scenes:count=9,size=64"]
