"""Versions of what made a run."""

import subprocess
from pathlib import Path

import jax
import pytest

import jaxvision
from jaxvision.run import versions


def test_versions_of_everything_that_matters():
    found = versions.versions()
    assert found["jaxvision"] == jaxvision.__version__ and found["jax"] == jax.__version__
    assert {"python", "jaxlib", "flax", "optax", "numpy"} <= set(found)


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    assert "commit" not in versions.versions()
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: (_ for _ in ()).throw(OSError))
    assert "commit" not in versions.versions()
