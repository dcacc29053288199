"""SIGTERM in every mode and stage ends a run in seconds, in one line, and leaves nothing half-written."""

import random
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.steadfast.killing import COMMANDS, Server

pytestmark = pytest.mark.long
MOST = 15  # seconds from the signal to the end, of which an idle machine needs 5: tests run beside other jobs


@pytest.fixture(scope="module")
def trained(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("trained") / "run"
    assert server.run(*COMMANDS["classification"], f"--workdir={workdir}")["code"] == 0
    return workdir


def stopped(server: Server, argv: list[str], seconds: float) -> tuple[int, str]:
    """Run a command, SIGTERM it, and return its code and its last line."""
    server.log.write_text("")
    ended = server.run(*argv, seconds=seconds, signal=signal.SIGTERM)
    assert ended["seconds"] < seconds + MOST and ended["left"] == 0
    lines = server.log.read_text().splitlines()
    assert "Traceback" not in server.log.read_text(), server.log.read_text()
    return ended["code"], lines[-1] if lines else ""


@pytest.mark.parametrize("mode", ["evaluate", "predict", "export", "show"])
def test_modes(server: Server, trained: Path, tmp_path: Path, mode: str):
    for i in range(40):
        Image.fromarray(np.full((32, 32, 3), i, np.uint8)).save(tmp_path / f"{i}.png")
    argv = [f"--mode={mode}", f"--workdir={trained}", *([f"--input={tmp_path}"] if mode == "predict" else [])]
    whole = server.run(*argv)
    assert whole["code"] == 0
    draw = random.Random(mode)
    codes = set()
    for _ in range(6):
        code, line = stopped(server, argv, draw.uniform(0.02, 1.0) * whole["seconds"])
        codes.add(code)
        assert code in (0, 143, -signal.SIGTERM)
        assert code != 143 or line == f"stopped in --mode={mode}; nothing is left half-written"
        assert not list(trained.rglob("*.tmp"))
    assert 143 in codes


@pytest.mark.parametrize("name", ["classification", "rcnn"])
def test_stages(server: Server, tmp_path: Path, name: str):
    argv = [*COMMANDS[name], f"--workdir={tmp_path}/run"]
    whole = server.run(*COMMANDS[name], f"--workdir={tmp_path}/straight")
    draw, lines = random.Random(name), []
    for _ in range(8):
        code, line = stopped(server, argv, draw.uniform(0.05, 0.5) * whole["seconds"])
        lines.append(line)
        assert code in (0, -signal.SIGTERM) and not list((tmp_path / "run").rglob("*.tmp"))
    assert any("the same command goes on" in line for line in lines)
    assert server.run(*argv)["code"] == 0
