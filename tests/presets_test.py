"""benchmarks/presets.py: what it cuts, how it stops and watches a process, and its small sets."""

import json
import os
import pathlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

import launch
from jaxvision.data import sources
from tests import benchmark

STOPPABLE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("stopped; the same command goes on from there"), sys.exit(0)))
print("train step 1/4  train/loss 3", flush=True)
time.sleep({seconds})
"""


@pytest.fixture(scope="module")
def presets() -> Iterator[ModuleType]:
    with benchmark.imported("presets") as module:
        yield module


def test_every_preset_of_a_paper_is_run_with_flags_that_it_has(presets: ModuleType):
    found = {run.name: run for run in presets.runs(2)}
    assert {"classification/resnet:paper:folder", "detection/faster_rcnn:alternating", "ssl/moco:v1"} <= found.keys()
    assert not any(name.endswith((":quick", ":smoke", ":photos")) for name in found)
    for run in found.values():
        assert run.flags.get("batch_size", 1) <= 16 and run.flags.get("steps", 0) <= 2 * presets.STEPS, run.name
    for name in ("classification/resnet:paper:folder", "detection/faster_rcnn:alternating"):
        _, _, config = launch.parse(["launch.py", *found[name].command])
        assert config.batch_size <= 2 and config.steps == found[name].flags["steps"]


def test_batches_and_all_steps_are_cut(presets: ModuleType):
    config = {"batch_size": 128, "steps": 900, "optimizer.warmup_steps": 50, "a.late_steps": 7, "a.steps": [8, 9]}
    cut = presets.cut_flags("gan/x:paper", {**config, "optimizer.accumulate": 2, "split": "test"}, 2)
    assert cut == {"batch_size": 16, "steps": 8, "a.late_steps": 8, "a.steps": "8,8"}
    assert presets.cut_flags("ssl/x:paper", {"batch_size": 1, "steps": 0}, 2) == {}


def test_a_process_is_stopped_after_a_step(presets: ModuleType, tmp_path: pathlib.Path):
    command = [sys.executable, "-c", STOPPABLE.format(seconds=30)]
    ended = presets.process(command, tmp_path, presets.Limits(20, 4), stop=True)
    assert ended.code == 0 and not ended.failure and "goes on from there" in ended.lines[-1]
    assert ended.seconds < 15 and ended.peak_mib > 0


def test_a_process_that_takes_too_much_or_fails_is_named(presets: ModuleType, tmp_path: pathlib.Path):
    def failure(code: str, seconds: float, gib: float) -> str:
        command, limits = [sys.executable, "-c", code], presets.Limits(seconds, gib)
        return presets.process(command, tmp_path, limits, stop=False).failure

    assert failure(STOPPABLE.format(seconds=30), 0.5, 4) == "not done after 0 s"
    assert failure(STOPPABLE.format(seconds=30), 20, 0.001) == "over 0.001 GiB"
    assert failure("raise SystemExit('error: no such set')", 20, 4) == "exit code 1: error: no such set"


def test_a_preset_goes_on_where_the_time_was_up(presets: ModuleType, tmp_path: pathlib.Path, monkeypatch):
    steps, gone_on = ["train step 1/4\n", "stopped; the same command goes on from there\n"], ["goes on from step 1\n"]
    late = presets.Ended(-9, 30.0, 5, [], "not done after 30 s", late=True)
    script = [late, presets.Ended(0, 8.0, 9, steps), late, presets.Ended(0, 4.0, 7, gone_on)]
    calls: list[bool] = []

    def process(command: list[str], data: pathlib.Path, limits: object, *, stop: bool) -> object:
        calls.append(stop)
        (tmp_path / "under_way").mkdir(exist_ok=True)
        (tmp_path / "under_way" / "metrics.jsonl").write_text('{"val/AP": 0.5, "train/loss": 1, "step": 4}\n')
        return script.pop(0)

    monkeypatch.setattr(presets, "process", process)
    run, limits = presets.Run("a/b:paper", {"batch_size": 2}), presets.Limits(100, 4)
    until = presets.time.monotonic() + 40
    assert presets.tried(run, tmp_path, tmp_path, limits, until) is None and calls == [True]
    assert presets.tried(run, tmp_path, tmp_path, limits, until) is None and calls == [True, True, False]
    row = presets.tried(run, tmp_path, tmp_path, limits, until)
    assert calls == [True, True, False, False] and not list(tmp_path.iterdir())
    assert row == {
        "preset": "a/b:paper",
        "flags": {"batch_size": 2},
        "first_seconds": 38.0,
        "second_seconds": 34.0,
        "peak_mib": 9,
        "failure": "",
        "stopped": True,
        "evaluated": ["val/AP"],
    }
    script += [presets.Ended(0, 8.0, 9, steps), late]
    assert presets.tried(run, tmp_path, tmp_path, presets.Limits(38, 4), until)["failure"] == (
        "gone on: not done after 30 s"
    ), "the preset's own time was up"
    script += [presets.Ended(0, 8.0, 9, steps), presets.Ended(0, 8.0, 9, ["step 1\n"])]
    assert presets.tried(run, tmp_path, tmp_path, limits, until)["failure"] == "gone on: it began anew"


def test_the_table_has_the_newest_result_of_each_preset(presets: ModuleType):
    row = {"preset": "a/b:paper", "flags": {"batch_size": 2, "steps": 4}, "first_seconds": 3.2, "peak_mib": 700}
    row |= {"stopped": True, "evaluated": ["val/accuracy"], "failure": "exit code 1: error"}
    good = {**row, "second_seconds": 2.0, "failure": ""}
    assert presets.table([row, good]).splitlines()[2:] == [
        "| a/b:paper | batch_size=2 | 3 + 2 | 700 | val/accuracy |  |"
    ]
    assert "error" in presets.table([good, row])


def test_drawn_sets_are_read_as_the_papers_own(presets: ModuleType, tmp_path: pathlib.Path):
    data = presets.preset_data
    (tmp_path / "VOC2012").mkdir()
    data.voc(tmp_path / "VOC2012", {"train": 3, "val": 4, "trainval": None})
    (tmp_path / "coco").mkdir()
    data.coco(tmp_path / "coco")
    boxes = sources.load(f"voc:{tmp_path}/VOC2012", "boxes")
    assert len(boxes["trainval"]) == 2 * len(boxes["val"]) == 2 * data.SCENES and not boxes.left_out
    maps = sources.load(f"voc:{tmp_path}/VOC2012", "label_maps")["train"][0]["label_map"]
    assert {0, 255} < {*maps.ravel().tolist()} and maps.shape == (500, 375)
    coco = sources.load(f"coco:{tmp_path}/coco", "masks")
    record = coco["val"][1]
    assert coco.num_classes == 81 and record["image"].shape == (480, 640, 3) and record["masks"].any(axis=(1, 2)).all()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # TFDS's own
def test_every_set_is_read_as_the_papers_own(
    presets: ModuleType, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    presets.preset_data.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tensorflow_datasets"))
    written = os.listdir(tmp_path)
    assert presets.preset_data.make(tmp_path) == tmp_path and os.listdir(tmp_path) == written
    for spec, needs in (
        ("tfds:imagenet2012", "labels"),
        ("folder:imagenet", "labels"),
        ("tfds:cifar10", "labels"),
        ("tfds:celeb_a", None),
        ("tfds:oxford_iiit_pet", "label_maps"),
        ("voc:VOCdevkit/VOC2007+voc:VOCdevkit/VOC2012", "boxes"),
        ("masks:camvid,ignore=11", "label_maps"),
        ("masks:cells", "label_maps"),
    ):
        source = sources.load(spec, needs)
        assert {"train", "val"} <= source.splits.keys() and not source.left_out, spec
        assert source["train"][0]["image"].ndim == 3, spec
    assert json.dumps(sources.load("tfds:imagenet2012").num_classes) == "1000"
