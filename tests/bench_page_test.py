"""benchmarks/page.py: rows of rounds, what is not run, and ratios against the last page."""

import json
import pathlib
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests import benchmark
from tests.benchmark import FOLDER

ABOUT = {"date": "2026-01-02", "processor": "Some CPU", "cores": 2, "load": 0.1, "python": "3.11", "versions": {}}


@pytest.fixture(scope="module")
def page() -> Iterator[ModuleType]:
    with benchmark.imported("page") as module:
        yield module


def row(page: ModuleType, ours: list[float], theirs: list[float], name: str = "resnet18"):
    seconds = {"jaxvision": ours, "NCHW": [2 * t for t in theirs], "channels_last": theirs}
    peaks = {"jaxvision": 10.0, "NCHW": 20.0, "channels_last": 30.0}
    return page.row_of("classification", {"row": name, "what": "training", "seconds": seconds, "peaks": peaks})


def test_a_row_is_of_medians_against_the_fastest_peer(page: ModuleType):
    one = row(page, [1.0, 2.0, 4.0], [3.0, 3.0, 6.0])
    assert (one.ours, one.peer, one.theirs) == ((2.0, 1.0, 4.0), "channels_last", (3.0, 3.0, 6.0))
    assert one.ratio == (1.5, 1.5, 3.0) and one.peaks == (10.0, 30.0)


def test_rounds_are_left_only_where_a_file_is_named(page: ModuleType, monkeypatch, tmp_path: pathlib.Path):
    seconds = {"jaxvision": (0.5,), "torch": (0.25,)}
    monkeypatch.delenv(page.record.FILE, raising=False)
    page.record.leave("a", "training", seconds)
    monkeypatch.setenv(page.record.FILE, str(tmp_path / "rounds.jsonl"))
    page.record.leave("a", "training", seconds)
    (line,) = (tmp_path / "rounds.jsonl").read_text().splitlines()
    one = page.row_of("gan", json.loads(line))
    assert one.key == "gan | a | training" and one.ratio[0] == 0.5 and one.peaks is None


def test_what_is_not_run_is_named_with_the_reason(page: ModuleType):
    script = page.Script("gan", needs=("torch", "no_such_package"))
    assert "no_such_package not installed" in page.reason_not_to_run(script, [])
    assert page.reason_not_to_run(script, ["twins"]) == "not among --only"
    assert page.reason_not_to_run(page.Script("parallel", needs=()), []) == ""
    names = {script.name for script in page.SCRIPTS}
    others = {"narrow", "page", "preset_data", "random_boxes", "record", "turns", "detection_network", "detection_ops"}
    twins = {path.stem for path in FOLDER.glob("twin_*.py")}
    assert names == {path.stem for path in FOLDER.glob("*.py")} - others - twins
    text = page.page(ABOUT, [row(page, [1.0], [2.0])], {"gan": "a line"}, {"twins": "hours"}, ["gan"], {}, "None.")
    assert "- twins: hours" in text and "## Failed\n\ngan" in text and "| 2.00 (2.00 to 2.00) |" in text


def test_ratios_fall_where_the_rounds_of_both_pages_do_not_meet(page: ModuleType):
    slower, noisy, equal = (row(page, [1.0, 1.0], theirs, name) for name, theirs in (
        ("slower", [1.0, 1.1]), ("noisy", [1.0, 1.9]), ("equal", [2.0, 2.0])))  # fmt: skip
    last = {one.key: (2.0, 1.8, 2.2) for one in (slower, noisy, equal)}
    before = {"machine": {"processor": "Some CPU", "date": "2026-01-01"}, "ratios": last}
    fell, sentence = page.regressions([slower, noisy, equal, row(page, [1.0], [1.0], "new")], before, "Some CPU")
    assert list(fell) == [slower.key] and sentence.startswith("3 ratios are compared") and "1 fell" in sentence
    assert page.regressions([slower], before, "Another CPU")[0] == {}
    assert page.regressions([slower], {}, "Some CPU")[0] == {}


def test_a_benchmark_that_fails_is_told_by_its_last_lines(page: ModuleType, monkeypatch, tmp_path: pathlib.Path):
    (tmp_path / "broken.py").write_text("print('a row'); raise SystemExit('no such network')")
    (tmp_path / "whole.py").write_text(
        f"import sys; sys.path.insert(0, {str(FOLDER)!r}); import record\n"
        "record.leave('x', 'training', {'jaxvision': [1.0], 'torch': [2.0]}); print(sys.argv[1:])"
    )
    monkeypatch.setattr(page, "HERE", tmp_path)
    rows, text, code = page.run(page.Script("broken", has_rounds=False), 2)
    assert (rows, text, code) == ([], "a row\nno such network", 1)
    (one,), text, code = page.run(page.Script("whole", ("--a",)), 2)
    assert one.ratio[0] == 2.0 and text == "['--a', '--rounds=2']" and code == 0
