"""config.json: what a workdir remembers of its run."""

import json
from pathlib import Path

import pytest

from jaxvision.run.saved_run import read
from jaxvision.run.workdir_config import as_seen, read_origin, remember, remember_learned


def test_the_first_run_is_written_down(tmp_path: Path):
    remember(tmp_path / "new", "area/name", 3, {"depth": 18, "marks": (0.5, 0.75)})
    saved = json.loads((tmp_path / "new" / "config.json").read_text())
    assert saved == {
        "format": 1,
        "experiment": "area/name",
        "seed": 3,
        "config": {"depth": 18, "marks": [0.5, 0.75]},
    }


def test_the_same_run_goes_on_and_another_is_refused_by_the_flags_that_differ(tmp_path: Path):
    config = {"depth": 18, "marks": (0.5, 0.75)}
    remember(tmp_path, "area/name", 0, config)
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    remember(tmp_path, "area/name", 0, config)
    with pytest.raises(ValueError, match=r"--depth is 34 \(saved: 18\).*--seed is 1 \(saved: 0\)"):
        remember(tmp_path, "area/name", 1, {**config, "depth": 34})
    with pytest.raises(ValueError, match=r"--experiment is area/other \(saved: area/name\); choose another --workdir"):
        remember(tmp_path, "area/other", 0, config)
    (tmp_path / "metrics.jsonl").unlink()
    remember(tmp_path, "area/name", 0, {"steps": 10}, epochs=1.0)
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match=r"--steps \(by --epochs=2.5\) is 25 \(saved: 10\); choose"):
        remember(tmp_path, "area/name", 0, {"steps": 25}, epochs=2.5)


def test_a_run_goes_on_in_its_own_precision(tmp_path: Path):
    half = {"precision": "bfloat16"}
    for name, about in (("older", {}), ("half", half)):
        remember(tmp_path / name, "area/name", 0, {"depth": 18}, about)
        (tmp_path / name / "metrics.jsonl").write_text("{}\n")
    remember(tmp_path / "older", "area/name", 0, {"depth": 18}, {"precision": "float32"})
    remember(tmp_path / "half", "area/name", 0, {"depth": 18}, half)
    with pytest.raises(ValueError, match=r"--precision is bfloat16 \(saved: float32\)"):
        remember(tmp_path / "older", "area/name", 0, {"depth": 18}, half)
    with pytest.raises(ValueError, match=r"--precision is float32 \(saved: bfloat16\)"):
        remember(tmp_path / "half", "area/name", 0, {"depth": 18}, {"precision": "float32"})


def test_a_run_that_never_began_is_replaced(tmp_path: Path):
    remember(tmp_path, "area/name", 0, {"depth": 19})
    remember(tmp_path, "area/name", 0, {"depth": 18})
    assert json.loads((tmp_path / "config.json").read_text())["config"] == {"depth": 18}


def test_flags_of_the_stage_to_be_done_again_may_differ(tmp_path: Path):
    remember(tmp_path, "area/name", 0, {"svm.c": 0.1, "lr": 1.0})
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    wanted = remember(tmp_path, "area/name", 0, {"svm.c": 0.2, "lr": 1.0}, repeat="svm")
    assert wanted["config"]["svm.c"] == 0.2
    assert json.loads((tmp_path / "config.json").read_text())["config"]["svm.c"] == 0.1  # until the old one is gone
    with pytest.raises(ValueError, match=r"--lr is 2.0 \(saved: 1.0\); choose"):
        remember(tmp_path, "area/name", 0, {"svm.c": 0.2, "lr": 2.0}, repeat="svm")


def test_a_workdir_remembers_how_its_imported_weights_saw_pixels(tmp_path: Path):
    assert as_seen(read_origin(tmp_path)) == (None, ())
    origin = {"init_from": "hed:some.file", "normalise": {"mean": (1.0, 2.0, 3.0), "std": (4.0, 5.0, 6.0)}}
    remember(tmp_path, "area/name", 0, {"depth": 18}, {**origin, "prepared": {"class_names": ["a", "b"]}})
    assert as_seen(read_origin(tmp_path)) == (((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), ("a", "b"))
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match=r"--init_from is None \(saved: hed:some.file\)"):
        remember(tmp_path, "area/name", 0, {"depth": 18})


def test_weights_that_saw_pixels_as_the_data_has_them_leave_the_normalisation_to_it(tmp_path: Path):
    origin = {"init_from": "workdir:runs/a", "normalise": {"mean": None, "std": None}}
    remember(tmp_path, "area/name", 0, {"depth": 18}, origin)
    assert as_seen(read_origin(tmp_path)) == (None, ())


def test_a_field_that_has_been_added_since_has_its_default(tmp_path: Path):
    remember(tmp_path, "area/name", 0, {"depth": 18, "gone": 3})
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    defaults = {"depth": 34, "legacy": False}
    remember(tmp_path, "area/name", 0, {"depth": 18, "legacy": False}, defaults=defaults)
    with pytest.raises(ValueError, match=r"holds another run: --legacy is True \(saved: False\); choose"):
        remember(tmp_path, "area/name", 0, {"depth": 18, "legacy": True}, defaults=defaults)


def test_what_is_learned_is_written_once(tmp_path: Path):
    remember(tmp_path, "area/name", 0, {"depth": 18})
    first, second = ({"class_names": [name], "mean": [0, 0, 0], "std": [1, 1, 1]} for name in "ab")
    remember_learned(tmp_path, first)
    remember_learned(tmp_path, second)
    assert read(tmp_path)["learned"] == first
