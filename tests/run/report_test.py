"""report.html: what stands on it, and that it never costs a run."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxvision.run import report, results
from jaxvision.run.results import EVALUATION
from tests.run.results_test import run_of
from tests.viz.tags import Tags


def picture(path: Path, shade: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((30, 40, 3), shade, np.uint8)).save(path)


def finished_run(workdir: Path) -> results.Run:
    """Two stages, the first with pictures of three steps, the second with a table and a page; and an evaluation."""
    rows = [
        {"stage": "pretrain", "step": s, "train/loss": 1 / s, "files": {"views": f"images/views-{s:06d}.png"}}
        for s in (1, 2, 3)
    ]
    rows += [
        {"stage": "pretrain", "step": 3, "time/pretrain_seconds": 90.0, "knn/accuracy": 0.5},
        {"stage": "probe", "step": 7, "probe/accuracy": 0.875, "files": {"probe": "probe.md", "x.html": "x.html"}},
        {"stage": EVALUATION, "step": 7, "probe/accuracy": 0.75, "files": {"worst": "images/worst-000007.png"}},
    ]
    for name in ("views-000001", "views-000002", "views-000003", "worst-000007"):
        picture(workdir / "images" / f"{name}.png", shade=len(name))
    (workdir / "probe.md").write_text("| encoder | <top> |\n| --- | ---: |\n| random | 0.1 |\n\nAll & sundry.\n")
    (workdir / "x.html").touch()
    (workdir / "evaluation.json").write_text('{"command": "python launch.py --mode=evaluate"}')
    config = {"data": "digits", "augment.flip": True, "marks": [0.5, 0.75]}
    about = {"experiment": "ssl/probe", "seed": 3, "config": config, "command": "python launch.py '--data=a b'"}
    return run_of(workdir, *rows, finished=("pretrain", "probe"), **about, devices="1 × cpu")


def test_what_is_asked_first_comes_first(tmp_path: Path):
    text = report.report(finished_run(tmp_path / "run"))
    tags = Tags(text)
    order = [
        "ssl/probe",
        "0.875",
        "encoder",
        "python launch.py '--data=a b'",
        "Curves",
        "Stage pretrain",
        "Stage probe",
    ]
    places = [tags.words.index(word) for word in (*order, "Evaluation", "Time", "Configuration")]
    assert places == sorted(places)
    (lead,) = [word for word in tags.words if "finished" in word]
    assert "took 90 s" in lead and "1 × cpu" in lead and "seed 3" in lead and str(tmp_path / "run") in lead


def test_pictures_tables_and_settings_are_there(tmp_path: Path):
    tags = Tags(report.report(finished_run(tmp_path)))
    shown = [word for word in tags.words if word.endswith(".png") or word.startswith("views-")]
    assert shown == ["views · views-000003.png", "views-000001", "views-000002", "worst · worst-000007.png"]
    assert tags.words[tags.words.index("Time") :][5:11] == ["pretrain", "3", "90 s", "probe", "7", "Configuration"]
    assert {"<top>", "random", "All & sundry.", "true", "0.5,0.75", "x.html", "probe, step 7"} <= set(tags.words)
    assert tags.words.count("<top>") == 1 and tags.seen.count("img") == 1 + 4  # a panel of the loss, and pictures


def test_the_file_can_be_moved(tmp_path: Path):
    finished_run(tmp_path)
    text = report.write(tmp_path).read_text()
    assert not [x for x in re.findall(r'(?:src|href)="([^"]*)"', text) if not x.startswith("data:") and x != "x.html"]
    assert text.count("data:image/") == 5 and not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize(
    "row", [{"train/loss": 1.0}, {"train/loss": float("nan")}, {"files": {"a": "images/gone.png"}}, {"val/<i>": 2.0}]
)
def test_a_run_that_hardly_began_has_a_page(tmp_path: Path, row: dict):
    text = report.report(run_of(tmp_path, row, experiment="a/b"))
    Tags(text)
    assert "stopped at step 1 of train" in text and "Curves" not in text and "<i>" not in text


def test_weights_that_were_only_evaluated_have_a_page(tmp_path: Path):
    run_of(tmp_path, {"stage": EVALUATION, "val/accuracy": 0.5})
    (tmp_path / "evaluation.json").write_text('{"command": "python launch.py --mode=evaluate"}')
    about = {"experiment": "a/b", "config": {"data": "digits"}, "command": "python launch.py --mode=evaluate"}
    words = Tags(report.write(tmp_path, about).read_text()).words
    assert words.count("python launch.py --mode=evaluate") == 1 and words.count("0.5") == 2 and "digits" in words
    assert not {"Time", "Curves"} & set(words)


def test_no_result_is_no_page(tmp_path: Path):
    with pytest.raises(ValueError, match="nothing was written yet"):
        report.write(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_a_page_that_fails_costs_a_line(tmp_path: Path):
    finished_run(tmp_path)
    (tmp_path / "report.html").mkdir()  # nothing can take its place
    said: list[str] = []
    report.safely(lambda: report.write(tmp_path), said.append)
    assert [line.split(":")[0] for line in said] == ["no page was written"]
    (tmp_path / "report.html").rmdir()
    (tmp_path / "images" / "views-000003.png").write_bytes(b"not a picture")
    report.safely(lambda: report.write(tmp_path), said.append)
    assert said[-1] == f"written to {tmp_path}/report.html"
