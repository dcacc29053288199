"""Flags that contradict each other are refused before anything is built."""

from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from jaxvision.data.classes import NO_DATA
from jaxvision.run import session
from jaxvision.run.request import Flags, Request


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"from_stage": "a"}, "--from_stage trains again: leave it out of --mode=evaluate"),
        ({}, "--mode=evaluate needs --data: labelled images"),
    ],
)
def test_flags_that_contradict_each_other(tmp_path: Path, fields: dict[str, str], expected: str):
    flags = Flags(mode="evaluate", parallel="jit", workdir=str(tmp_path), **fields)
    config = SimpleNamespace(batch_size=8, data=NO_DATA)
    with pytest.raises(ValueError, match=expected):
        session.run(Request("area/name", config, flags, "python launch.py"), ModuleType("nothing"))
    assert not (tmp_path / "config.json").exists()
