"""Over thousands of steps a run holds no more and more of the system's means, and no worker process outlives it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.steadfast.processes import left, members

ROOT = Path(__file__).parents[2]
LONG = pytest.mark.long


def start(workdir: Path, steps: int, workers: int, *end: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.steadfast.long_run", str(workdir), str(steps), str(workers)]
    return subprocess.Popen(
        [*command, *end], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.parametrize(
    ("steps", "workers"), [(700, 0), pytest.param(5000, 0, marks=LONG), pytest.param(5000, 2, marks=LONG)]
)
def test_what_a_run_holds_does_not_grow(tmp_path: Path, steps: int, workers: int):
    before = set(os.listdir("/dev/shm"))
    with start(tmp_path, steps, workers) as process:
        output, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    held = [json.loads(line) for line in output.splitlines()]
    assert held[-1]["step"] == steps and len(held) > 5
    # A checkpoint that is being written holds threads and files for a moment. What grows, grows in the least held, too.
    room = {"threads": 2, "files": 3, "shm": 2, "MB": 40}
    early = {key: max(row[key] for row in held[: len(held) // 2]) for key in room}
    late = {key: min(row[key] for row in held[len(held) // 2 :]) for key in room}
    assert all(late[key] <= early[key] + room[key] for key in room), (early, late)
    assert not left(process.pid, 20) and not {name for name in set(os.listdir("/dev/shm")) - before if "psm" in name}


@pytest.mark.long
@pytest.mark.parametrize("end", ["error", "kill", "terminate"])
def test_workers_are_gone_after_every_end(tmp_path: Path, end: str):
    with start(tmp_path, 10_000, 2, "error" if end == "error" else "hang") as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["step"] < 1000:
            pass
        if end != "error":
            assert len(members(process.pid)) > 2
            process.send_signal(signal.SIGKILL if end == "kill" else signal.SIGTERM)
        process.communicate(timeout=60)
    assert not left(process.pid, 20)
