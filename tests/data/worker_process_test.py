"""Worker processes end with the program that started them, however it ends, and leave nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

_PROGRAM = """
import multiprocessing, sys, time
from collections.abc import Callable
from pathlib import Path
from jaxvision.data import worker_process
from jaxvision.files import atomic_open

def work(folder, number):
    worker_process.begin()
    with atomic_open(Path(folder) / str(number)) as file:
        file.write(b"half")
        file.flush()
        time.sleep(100)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    for number in range(2):
        context.Process(target=work, args=(sys.argv[1], number), daemon=True).start()
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    time.sleep(100)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(tmp_path: Path, number: int):
    (tmp_path / "program.py").write_text(_PROGRAM)
    (tmp_path / "out").mkdir()
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        workers = process.stdout.readline().split()
        _within_seconds(lambda: len(list((tmp_path / "out").iterdir())) == 2)
        process.send_signal(number)
        process.wait()
        _within_seconds(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert len(workers) == 2 and not list((tmp_path / "out").iterdir())


def _within_seconds(true: Callable[[], bool]) -> None:
    for _ in range(200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("not within ten seconds")
