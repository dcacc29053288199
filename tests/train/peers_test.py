"""A process that ends without a goodbye ends the others, each in one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_PROGRAM = """
import sys, time
from jaxvision.train import peers
peers.GRACE = 0.2
number, behaviour, port_file = int(sys.argv[1]), sys.argv[2], sys.argv[3]

def share(port):
    if number == 0:
        open(port_file + ".new", "w").write(str(port))
        __import__("os").replace(port_file + ".new", port_file)
        return port
    while True:
        try:
            return int(open(port_file).read())
        except (FileNotFoundError, ValueError):
            time.sleep(0.05)

try:
    with peers.watched(number, 3, "127.0.0.1", share):
        print("connected", flush=True)
        if behaviour == "fails":
            raise ValueError("bad data")
        if behaviour.startswith("sees"):
            time.sleep(0.5)
            raise peers.JointError("reset by peer") if "save" in behaviour else RuntimeError("a sum that never came")
        time.sleep(30 if behaviour == "works" else 0)
except ValueError as error:
    print("error:", error, file=sys.stderr)
    sys.exit(2)
"""


def processes(folder: Path, *behaviours: str) -> list[subprocess.Popen[str]]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(number), behaviour, str(folder / "port")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )  # fmt: skip
        for number, behaviour in enumerate(behaviours)
    ]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "connected\n"
    return started


def ends(started: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    began = time.monotonic()
    errors = [process.communicate(timeout=20)[1].strip() for process in started]
    assert time.monotonic() - began < 10
    return [(process.returncode, error) for process, error in zip(started, errors, strict=True)]


@pytest.mark.parametrize("gone", [0, 2])
def test_a_killed_process_ends_the_others_in_one_line(tmp_path: Path, gone: int):
    started = processes(tmp_path, "works", "works", "works")
    started[gone].send_signal(signal.SIGKILL)
    lines = ends(started)
    assert f"process {gone} of" in lines[2 if gone == 0 else 0][1]
    for number, (code, line) in enumerate(lines):
        if number != gone:
            assert code == 2 and line.startswith("error: process ") and "\n" not in line
            assert "start all of them again: the same commands go on from the last checkpoint" in line


@pytest.mark.parametrize("behaviour", ["sees an error", "sees a save fail"])
def test_the_error_of_a_sum_or_a_checkpoint_is_told_as_its_cause(tmp_path: Path, behaviour: str):
    first, second, third = processes(tmp_path, behaviour, "works", "works")
    second.send_signal(signal.SIGKILL)
    (code, line), _, (last, _) = ends([first, second, third])
    assert code == last == 2 and line.startswith("error: process 1 of those that train together has ended")


def test_a_process_with_an_error_of_its_own_says_it_and_ends_the_others(tmp_path: Path):
    (code, line), *others = ends(processes(tmp_path, "fails", "works", "works"))
    assert code == 2 and line == "error: bad data"
    assert all(other == 2 and line.startswith("error: process 0 of") for other, line in others)


def test_a_goodbye_ends_nobody(tmp_path: Path):
    assert ends(processes(tmp_path, "ends", "ends", "ends")) == [(0, "")] * 3
