"""Flags that contradict each other are refused before anything is built."""

import dataclasses
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from jaxvision.data.classes import NO_DATA
from jaxvision.run import session
from jaxvision.run.request import Flags, Request
from jaxvision.train.restore import Run
from jaxvision.train.types import Experiment
from tests.train import toy


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"from_stage": "a"}, "--from_stage trains again: leave it out of --mode=evaluate"),
        ({"only": ("a",)}, "--only chooses what is trained: leave it out of --mode=evaluate"),
        ({}, "--mode=evaluate needs --data: labelled images"),
    ],
)
def test_flags_that_contradict_each_other(tmp_path: Path, fields: dict[str, Any], expected: str):
    flags = Flags(mode="evaluate", parallel="jit", workdir=str(tmp_path), **fields)
    config = SimpleNamespace(batch_size=8, data=NO_DATA)
    with pytest.raises(ValueError, match=expected):
        session.run(Request("area/name", config, flags, "python launch.py"), ModuleType("nothing"))
    assert not (tmp_path / "config.json").exists()


@dataclasses.dataclass(frozen=True)
class Config:
    batch_size: int = 8
    steps: int = 4


def test_an_error_is_the_last_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(experiment: Experiment, run: Run) -> None:
        run.writer.write("train", 1, {"train/loss": 1.0})
        raise ValueError("the loss is not finite")

    monkeypatch.setattr(session, "train", fail)
    monkeypatch.setattr(session.show, "keep", lambda *given: None)
    module = ModuleType("experiment")
    module.build = lambda config, inputs: Experiment.single(toy.regression(), toy.Numbers, 4)
    request = Request("area/name", Config(), Flags(workdir=str(tmp_path)), "python launch.py")
    with pytest.raises(ValueError, match="the loss is not finite"):
        session.run(request, module)
    assert (tmp_path / "report.html").exists() and "written to" not in capsys.readouterr().err
    assert "jaxlib" in (tmp_path / "report.html").read_text()


def test_a_stop_needs_a_metric_that_can_stall(tmp_path: Path):
    module = ModuleType("experiment")
    module.build = lambda config, inputs: Experiment.single(toy.regression(), toy.Numbers, 4)
    request = Request("area/name", Config(), Flags(workdir=str(tmp_path), stop_after=2), "python launch.py")
    with pytest.raises(ValueError, match="--stop_after: this experiment has no metric"):
        session.run(request, module)


def test_only_a_comparison_has_variants(tmp_path: Path):
    module = ModuleType("experiment")
    module.build = lambda config, inputs: Experiment.single(toy.regression(), toy.Numbers, 4)
    request = Request("area/name", Config(), Flags(workdir=str(tmp_path), only=("a",)), "python launch.py")
    with pytest.raises(ValueError, match="--only=a: area/name is no comparison; leave it out"):
        session.run(request, module)
