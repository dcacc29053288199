"""Every experiment file runs: a new one is tested by existing."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
from absl import flags

import launch
from jaxvision.data.inputs import Inputs
from jaxvision.ops.dispatch import plain_forms
from jaxvision.run.config import define_flags
from jaxvision.train.devices import first_batch

# One of each area runs in `make test`, all others in `make test-long`: their parts have tests of their own, and
# tests/wiring_test.py builds each.
SHORT = {"classification/resnet", "segmentation/fcn", "detection/selective_search", "gan/toy", "ssl/rotation"}
# Smaller forms of what `test_whole_comparisons` runs: in `make test-exhaustive`.
WHOLE = {"detection/lineage", "segmentation/unpooling", "ssl/compare"}
# Networks that take over five seconds to trace.
DEEP = {
    *("classification/googlenet", "detection/mask_rcnn", "detection/yolo", "gan/dcgan", "gan/dissection"),
    *("gan/inversion", "segmentation/deconvnet", "segmentation/unet", "segmentation/unpooling", "ssl/compare"),
    *("classification/compare", "gan/compare", "detection/pooling", "segmentation/compare"),
}


@pytest.fixture(autouse=True)
def _forget_what_was_compiled() -> Iterator[None]:
    """After each test, not only after all: no experiment uses another one's programs."""
    yield
    jax.clear_caches()


def run(name: str, workdir: Path, *flags: str) -> None:
    assert launch.main(["launch.py", f"--experiment={name}", "--smoke", f"--workdir={workdir}", *flags]) == 0


def marked(name: str) -> Any:
    """Return an experiment with the mark of its smoke run."""
    if name in SHORT:
        return name
    return pytest.param(name, marks=pytest.mark.exhaustive if name in WHOLE else pytest.mark.long)


@pytest.mark.parametrize("name", [marked(name) for name in launch.experiments()])
def test_smoke(name: str, tmp_path: Path):
    # lax's convolutions compile sooner; those of a CPU have their own tests, and these two experiments.
    with contextlib.nullcontext() if name in ("classification/alexnet", "ssl/simclr") else plain_forms():
        run(name, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert {"stage", "step", "time"} <= rows[-1].keys()
    trained = [row for row in rows if any(key.startswith("train/") for key in row)]
    assert all(any(key.startswith("train/lr") for key in row) for row in trained), "log_rate gives the learning rate"
    assert (tmp_path / "images" / "curves.png").exists()
    assert f"<h1>{name}</h1>" in (tmp_path / "report.html").read_text()


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "field"),
    [("detection/lineage", "methods"), ("segmentation/unpooling", "kinds"), ("ssl/compare", "methods")],
)
def test_whole_comparisons(name: str, field: str, tmp_path: Path):
    """The smoke presets compare one or two; here all are compared."""
    everything = getattr(launch.load(name).PRESETS["quick"], field)
    with plain_forms():
        run(
            name,
            tmp_path,
            f"--{field}={','.join(everything)}",
            f"--data={'tinted:count=100' if name == 'ssl/compare' else 'scenes:count=8,size=64'}",
        )
    text = next(tmp_path.glob("*.md")).read_text()
    assert len(text.splitlines()) > len(everything)


@pytest.mark.parametrize("name", launch.experiments())
def test_every_preset_is_a_config(name: str):
    module = launch.load(name)
    for preset in module.PRESETS.values():
        assert isinstance(preset, module.Config)
        assert preset.steps >= 0 and preset.batch_size > 0


@pytest.mark.parametrize("name", launch.experiments())
def test_every_setting_has_a_help_text(name: str):
    values = flags.FlagValues()
    define_flags(launch.load(name).Config(), values)
    bare = [flag for flag in values if re.match(r"(<.*?>: )?\(", values[flag].help or "(")]  # only the type: (int)
    assert not bare, "a comment behind the field is its help"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in DEEP else ()) for name in launch.experiments()]
)
def test_networks_of_the_quick_preset_fit_its_images(name: str, tmp_path: Path):
    """By shapes alone. Where a smoke preset's maps are smaller, they meet other paddings and windows."""
    module = launch.load(name)
    stages = module.build(module.PRESETS["quick"], Inputs(workdir=tmp_path)).stages
    made = [stage.make is not None for stage in stages] + [True]  # later stages read what such a stage makes
    for stage in stages[: made.index(True)]:
        if stage.data:
            jax.eval_shape(stage.task.init, jax.random.PRNGKey(0), first_batch(stage.data))
