"""metrics.jsonl, pictures, and what a resumed run takes back."""

import functools
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxvision.train import writer as module
from jaxvision.train.writer import Writer, read_metrics

ROOT = Path(__file__).parent.parent.parent


def test_floats_become_lines_and_pictures_files(tmp_path: Path):
    writer = Writer(tmp_path)
    picture = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    with writer.progress("train", 0, 10):
        writer.write("train", 3, {"val/accuracy": np.float32(0.5), "val/boxes": picture})
    (row,) = read_metrics(tmp_path / "metrics.jsonl")
    assert row["stage"] == "train" and row["step"] == 3 and row["val/accuracy"] == 0.5 and row["time"] > 0
    assert row["files"] == {"val/boxes": "images/val_boxes-000003.png"}
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "images" / "val_boxes-000003.png")), picture)
    assert list((tmp_path / "tensorboard").iterdir())


def test_going_on_from_a_step_takes_back_what_came_after(tmp_path: Path):
    writer = Writer(tmp_path)
    for stage, step in [("a", 2), ("b", 2), ("b", 4), ("b", 6)]:
        writer.write(stage, step, {"x": 1.0})
    with writer.progress("b", 4, 10):
        left = [(r["stage"], r["step"]) for r in read_metrics(tmp_path / "metrics.jsonl")]
    assert left == [("a", 2), ("b", 2), ("b", 4)]


def test_going_on_keeps_as_many_rows_as_there_were(tmp_path: Path):
    writer = Writer(tmp_path)
    for stage, step in [("a", 2), ("b", 0), ("b", 0), ("a", 2), ("b", 0)]:
        writer.write(stage, step, {"x": 1.0})
    assert writer.saved_rows("b") == 3
    for rows, left in ((2, "abba"), (0, "aa"), (5, "aa")):
        with Writer(tmp_path).progress("b", 0, 0, rows):
            assert "".join(row["stage"] for row in read_metrics(tmp_path / "metrics.jsonl")) == left


def test_trainings_that_share_a_workdir_wait_for_each_other(tmp_path: Path):
    code = "import sys; from pathlib import Path; from jaxvision.files import held\n"
    code += "with held(Path(sys.argv[1])):\n    print(flush=True); input()"
    command = [sys.executable, "-c", code, str(tmp_path / "metrics.jsonl.lock")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "\n"
        writing = threading.Thread(target=Writer(tmp_path, shared=True).write, args=("a", 1, {"x": 1.0}))
        writing.start()
        writing.join(0.1)
        assert writing.is_alive() and not (tmp_path / "metrics.jsonl").exists()
        other.communicate("\n")
        writing.join()
    with Writer(tmp_path, shared=True).progress("b", 0, 1, 0):
        assert [row["stage"] for row in read_metrics(tmp_path / "metrics.jsonl")] == ["a"]


def test_a_line_that_was_cut_short_or_changed_is_left_out(tmp_path: Path):
    lines = [json.dumps({"step": 1}), "[1]", '{"step": "1"}', '{"stage": 1}', '{"val/x": []}', '{"files": {"a": 1}}']
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 2, "va']))
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1}]


def test_lines_for_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    writer = Writer(tmp_path)
    with writer.progress("train", 0, 10):
        writer.write("train", 4, {"train/loss": 0.25, "time/steps_per_second": 2.0})
    writer.say("hello")
    assert capsys.readouterr().err.splitlines() == ["train step 4/10  2 steps/s  ETA 3 s  train/loss 0.25", "hello"]


def test_the_other_processes_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    writer = Writer(tmp_path, active=False)
    with writer.progress("train", 0, 1):
        writer.write("train", 1, {"x": 1.0})
        writer.say("hello")
    assert not (tmp_path / "metrics.jsonl").exists() and capsys.readouterr().err == ""


def test_a_text_is_kept_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Writer(tmp_path).write("train", 3, {"comparison/table": "| a |\n| b |", "x": 1.0})
    assert (tmp_path / "comparison_table.md").read_text() == "| a |\n| b |\n"
    assert "| a |\n| b |" in capsys.readouterr().err
    (row,) = read_metrics(tmp_path / "metrics.jsonl")
    assert sorted(row) == ["files", "stage", "step", "time", "x"]
    assert row["files"] == {"comparison/table": "comparison_table.md"}


def test_a_page_is_kept_under_its_own_name_and_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Writer(tmp_path).write("train", 3, {"report/units.html": "<p>α</p>", "units.json": "{}", "x": 1.0})
    assert (tmp_path / "report_units.html").read_text(encoding="utf-8") == "<p>α</p>"
    assert (tmp_path / "units.json").read_text() == "{}" and not list(tmp_path.glob("*.md"))
    (row,) = read_metrics(tmp_path / "metrics.jsonl")
    assert row["files"] == {"report/units.html": "report_units.html", "units.json": "units.json"}
    shown = capsys.readouterr().err
    assert f"written to {tmp_path}/report_units.html" in shown and "<p>" not in shown


def test_listeners_are_told_and_one_that_fails_is_told_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_listeners", [])
    told: list[tuple] = []

    def broken(stage: str, step: int, values: dict) -> None:
        raise RuntimeError("no network")

    nameless = functools.partial(broken)
    for listener in (broken, nameless, lambda stage, step, values: told.append((stage, step, sorted(values)))):
        module.listen(listener)
    writer = Writer(tmp_path)
    for step in (1, 2):
        writer.write("train", step, {"val/accuracy": 0.5, "notes": "a text"})
    assert told == [("train", 1, ["notes", "val/accuracy"]), ("train", 2, ["notes", "val/accuracy"])]
    shown = capsys.readouterr().err
    for name in ("broken", "partial"):
        assert shown.count(f"no more is told to {name}: RuntimeError: no network") == 1


def test_steps_are_told_to_a_log_after_the_first_and_once_a_minute(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    writer = Writer(tmp_path)
    with writer.progress("train", 0, 10):
        for _ in range(3):
            writer.advance()
        with writer.paused():
            pass
    writer.advance()  # of no stage
    assert capsys.readouterr().err == "train step 1/10\n"
