"""Of two processes that train together one is killed: the other ends soon, and both go on as if nothing had been."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.steadfast.killing import ROOT, differences

LONGEST = 30  # seconds between the death of one process and the end of the other
FLAGS = ("--experiment=gan/toy", "--smoke", "--steps=600", "--save_every=50", "--log_every=25", "--eval_every=0")


def started(workdir: Path) -> list[subprocess.Popen[str]]:
    """Two processes with one device each."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=1 --xla_backend_optimization_level=0"}
    together = [f"--workdir={workdir}", f"--coordinator=127.0.0.1:{port}", "--num_processes=2"]
    return [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "launch.py", *FLAGS, *together, f"--process_id={number}"],
            cwd=ROOT,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]


def ended(both: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Wait for both; return their codes and what they said."""
    errors = [process.communicate(timeout=200)[1] for process in both]
    return [(process.returncode, said) for process, said in zip(both, errors, strict=True)]


def reached(workdir: Path, step: int) -> bool:
    """Whether a row of a later step is written."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return any(json.loads(line)["step"] >= step for line in lines[:-1])


@pytest.mark.parametrize(
    "victim", [pytest.param(0, marks=pytest.mark.long), pytest.param(1, marks=pytest.mark.exhaustive)]
)
def test_one_of_two_is_killed(tmp_path: Path, victim: int):
    assert [code for code, _ in ended(started(tmp_path / "straight"))] == [0, 0]
    both = started(tmp_path / "killed")
    until = time.monotonic() + 120
    while not reached(tmp_path / "killed", 100):
        assert time.monotonic() < until and all(process.poll() is None for process in both)
        time.sleep(0.05)
    both[victim].send_signal(signal.SIGKILL)
    death = time.monotonic()
    code, said = ended(both)[1 - victim]
    assert time.monotonic() - death < LONGEST
    assert code == 2 and f"error: process {victim} of those that train together has ended" in said
    assert "Traceback" not in said and "terminate called" not in said, said
    again = ended(started(tmp_path / "killed"))
    assert [code for code, _ in again] == [0, 0], again
    assert differences(tmp_path / "straight", tmp_path / "killed") == []
