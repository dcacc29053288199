"""config.json: what a workdir remembers of its run."""

import json
from pathlib import Path

import pytest

from jaxvision.session import remember


def test_the_first_run_is_written_down(tmp_path: Path):
    remember(tmp_path / "new", "area/name", 3, {"depth": 18, "marks": (0.5, 0.75)})
    saved = json.loads((tmp_path / "new" / "config.json").read_text())
    assert saved == {"experiment": "area/name", "seed": 3, "config": {"depth": 18, "marks": [0.5, 0.75]}}


def test_the_same_run_goes_on_and_another_is_refused_by_the_flags_that_differ(tmp_path: Path):
    config = {"depth": 18, "marks": (0.5, 0.75)}
    remember(tmp_path, "area/name", 0, config)
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    remember(tmp_path, "area/name", 0, config)
    with pytest.raises(ValueError, match=r"--depth is 34 \(saved: 18\).*--seed is 1 \(saved: 0\)"):
        remember(tmp_path, "area/name", 1, {**config, "depth": 34})
    with pytest.raises(ValueError, match=r"--experiment is area/other \(saved: area/name\); choose another --workdir"):
        remember(tmp_path, "area/other", 0, config)


def test_a_run_that_never_began_is_replaced(tmp_path: Path):
    remember(tmp_path, "area/name", 0, {"depth": 19})
    remember(tmp_path, "area/name", 0, {"depth": 18})
    assert json.loads((tmp_path / "config.json").read_text())["config"] == {"depth": 18}
