"""Compilations that are announced once for each set of shapes, with the seconds of the last time."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxvision.train import compiling, progress


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(compiling, "_WORTH", 0.0)
    return tmp_path / "cache"


def test_the_first_call_of_each_shape_is_announced(monkeypatch: pytest.MonkeyPatch):
    told: list[tuple[str, float | None]] = []
    real = progress.busy
    monkeypatch.setattr(progress, "busy", lambda what, last=None: told.append((what, last)) or real(what))
    state, small, large = {"w": np.zeros(3)}, {"x": np.zeros(2)}, {"x": np.zeros(4)}
    for _ in range(2):
        run = compiling.announced(lambda state, batch: len(batch["x"]), "compiling the step")
        assert [run(state, batch) for batch in (small, small, large, small)] == [2, 2, 4, 2]
    assert [what for what, _ in told] == ["compiling the step"] * 4
    assert [last is None for _, last in told] == [True, True, False, False]


def test_what_is_remembered_is_kept_in_bounds(cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiling, "_MOST", 2)
    for name, took in (("a", 1.0), ("b", 2.0), ("a", 3.0), ("c", 4.0)):
        compiling.remember(name, took)
    assert compiling.seconds() == {"a": 3.0, "c": 4.0}
    monkeypatch.setattr(compiling, "_WORTH", 1.0)
    compiling.remember("quick", 0.5)
    assert "quick" not in compiling.seconds()


@pytest.mark.parametrize("content", ["no JSON", json.dumps([1])])
def test_a_damaged_file_is_no_error(cache: Path, content: str):
    cache.mkdir()
    (cache / "jaxvision-seconds.json").write_text(content)
    assert compiling.seconds() == {}


def test_a_folder_that_cannot_be_written_is_no_error(cache: Path):
    cache.write_text("a file in the place of the folder")
    compiling.remember("a", 3.0)
    assert compiling.seconds() == {}
