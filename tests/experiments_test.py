"""Every experiment file runs: a new one is tested by existing."""

import contextlib
import json
from pathlib import Path

import pytest

import launch
from jaxvision.ops.convolution import as_lax


@pytest.mark.parametrize("name", launch.experiments())
def test_smoke(name: str, tmp_path: Path):
    # lax's convolutions compile sooner; those of a CPU have tests of their own, and these two kinds of experiments.
    with contextlib.nullcontext() if name.startswith(("classification/", "ssl/")) else as_lax():
        assert launch.main(["launch.py", f"--experiment={name}", "--smoke", f"--workdir={tmp_path}"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {"stage", "step", "time"} <= rows[-1].keys()
    assert (tmp_path / "images" / "curves.png").exists()
    assert f"<h1>{name}</h1>" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("name", launch.experiments())
def test_every_preset_is_a_config(name: str):
    module = launch.load(name)
    for preset in module.PRESETS.values():
        assert isinstance(preset, module.Config)
        assert preset.steps >= 0 and preset.batch_size > 0
