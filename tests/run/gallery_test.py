"""gallery.html over a folder of runs."""

import os
import re
from pathlib import Path

import pytest

from jaxvision.run import gallery
from tests.run.report_test import finished_run
from tests.run.results_test import run_of
from tests.viz.tags import Tags


def test_every_run_is_there_with_its_figures_its_picture_and_its_report(tmp_path: Path):
    finished_run(tmp_path / "ssl" / "a run")
    run_of(tmp_path / "b", {"val/accuracy": 0.25}, experiment="classification/resnet")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "config.json").write_text("{}")  # somebody's own
    said: list[str] = []
    text = gallery.write(tmp_path, said.append).read_text()
    tags = Tags(text)
    assert not said and (tmp_path / "b" / "report.html").exists()
    links = re.findall(r'class="run" href="([^"]*)"', text)
    assert links == ["b/report.html", "ssl/a%20run/report.html"]
    order = ["classification", "classification/resnet", "val/accuracy", "0.25", "ssl", "ssl/probe", "0.875"]
    places = [tags.words.index(word) for word in order]
    assert places == sorted(places) and tags.seen.count("img") == 1  # b has no picture
    assert any("finished" in word and "90 s" in word for word in tags.words)


def test_a_report_is_written_anew_only_when_the_run_went_on(tmp_path: Path):
    run_of(tmp_path / "b", {"val/accuracy": 0.25}, experiment="classification/resnet")
    gallery.write(tmp_path, print)
    report = tmp_path / "b" / "report.html"
    report.write_text("kept")
    gallery.write(tmp_path, print)
    assert report.read_text() == "kept"
    os.utime(report, (1, 1))
    gallery.write(tmp_path, print)
    assert "0.25" in report.read_text()


def test_a_run_that_cannot_be_read_is_said_and_left_out(tmp_path: Path):
    finished_run(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.json").write_text("{")
    (tmp_path / "bad" / "metrics.jsonl").write_text("")
    said: list[str] = []
    gallery.write(tmp_path, said.append)
    (line,) = said
    assert line.startswith(f"{tmp_path}/bad is left out: ")


def test_a_picture_that_was_cut_short_costs_the_card_its_picture_only(tmp_path: Path):
    finished_run(tmp_path / "good")
    for picture in (tmp_path / "good" / "images").glob("*.png"):
        picture.write_bytes(picture.read_bytes()[:40])
    said: list[str] = []
    text = gallery.write(tmp_path, said.append).read_text()
    assert "good/report.html" in text and "<img" not in text


def test_a_folder_without_runs_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="no run lies below it"):
        gallery.write(tmp_path, print)


@pytest.mark.parametrize("row", [{"files": {"a": "../../x.png"}}, {"time": -1e30}, {"val/accuracy": float("nan")}])
def test_a_row_that_was_changed_loses_no_other_run(tmp_path: Path, row: dict):
    finished_run(tmp_path / "good")
    run_of(tmp_path / "odd", {"val/accuracy": 0.5}, row, experiment="classification/resnet")
    said: list[str] = []
    assert "good/report.html" in gallery.write(tmp_path, said.append).read_text()
    assert all(line.startswith(f"{tmp_path}/odd is left out: ") for line in said)
