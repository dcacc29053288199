"""A stage and all after it are gone, and what came before is not touched."""

import json
from pathlib import Path

import pytest

from jaxvision.run import restart
from jaxvision.train.writer import read_metrics

STAGES = ("first", "second", "third")


def run_in(workdir: Path) -> None:
    for stage in STAGES:
        for folder in (f"checkpoints/{stage}/3", f"checkpoints/{stage}-best/1", f"artefacts/{stage}"):
            (workdir / folder).mkdir(parents=True)
            (workdir / folder / "file").write_text(stage)
    rows = [{"stage": stage, "step": step, "train/loss": 1.0} for stage in STAGES for step in (1, 2)]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_later_stages_go_and_earlier_ones_stay(tmp_path: Path):
    run_in(tmp_path)
    restart.forget(tmp_path, STAGES, "second")
    left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("file"))
    assert left == ["artefacts/first/file", "checkpoints/first-best/1/file", "checkpoints/first/3/file"]
    assert [(r["stage"], r["step"]) for r in read_metrics(tmp_path / "metrics.jsonl")] == [("first", 1), ("first", 2)]


def test_a_removal_that_was_stopped_is_finished_by_the_next(tmp_path: Path):
    run_in(tmp_path)
    (tmp_path / "checkpoints" / "being-removed" / "1").mkdir(parents=True)
    restart.forget(tmp_path, STAGES, "first")
    assert not list((tmp_path / "checkpoints").iterdir()) and not list((tmp_path / "artefacts").iterdir())


def test_the_last_stage_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run_in(tmp_path)
    order: list[str] = []
    monkeypatch.setattr(restart, "_remove", lambda folder: order.append(folder.name))
    restart.forget(tmp_path, STAGES, "second")
    assert order == ["third", "third-best", "third", "second", "second-best", "second"]


def test_mistakes_name_the_flag(tmp_path: Path):
    with pytest.raises(ValueError, match="--from_stage=fourth: should be one of first, second, third"):
        restart.forget(tmp_path, STAGES, "fourth")
    with pytest.raises(ValueError, match="--from_stage=second: .* holds no run; leave the flag out"):
        restart.forget(tmp_path, STAGES, "second")
