"""Two trainings never share a workdir, and one that died leaves it free."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jaxvision.run.lock import one_writer

ROOT = Path(__file__).parent.parent.parent
HOLD = (
    "import sys, time; from pathlib import Path; from jaxvision.run.lock import one_writer\n"
    "with one_writer(Path(sys.argv[1]), sys.argv[2:]):\n    print('held', flush=True); time.sleep(60)"
)


def test_a_second_process_is_refused_by_name_until_the_first_is_killed(tmp_path: Path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with (
            pytest.raises(ValueError, match=rf"process {other.pid} on \S+ is training there; wait"),
            one_writer(tmp_path),
        ):
            pass
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    with one_writer(tmp_path):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")


def test_variants_are_trained_beside_each_other_and_each_once(tmp_path: Path):
    command = [sys.executable, "-c", HOLD, str(tmp_path), "plain", "deep"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with one_writer(tmp_path, ("residual",)):
            pass
        with (
            pytest.raises(ValueError, match=rf"process {other.pid} on \S+ is training there"),
            one_writer(tmp_path, ("deep",)),
        ):
            pass
        with pytest.raises(ValueError, match="another process is training there"), one_writer(tmp_path):
            pass
        other.kill()
    with one_writer(tmp_path):
        pass


def test_a_workdir_is_free_after_its_training(tmp_path: Path):
    for _ in range(2):
        with one_writer(tmp_path / "new"):
            pass
