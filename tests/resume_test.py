"""A killed program goes on as if nothing had happened: every array of the state and the next batch are equal."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import chex
import jax
import pytest

from jaxvision.train.checkpoint import Checkpoints
from jaxvision.train.types import TrainState

ROOT = Path(__file__).parent.parent
STEPS = 10
FLAGS = ["--experiment=classification/resnet", "--smoke", f"--steps={STEPS}", "--eval_every=0", "--save_every=3"]


def start(workdir: Path, count: int, parallel: str = "auto") -> subprocess.Popen[str]:
    devices = "--xla_force_host_platform_device_count="
    flags = [flag for flag in os.environ["XLA_FLAGS"].split() if not flag.startswith(devices)]
    env = {**os.environ, "XLA_FLAGS": " ".join([*flags, f"{devices}{count}"])}
    command = [sys.executable, "launch.py", *FLAGS, f"--workdir={workdir}", f"--parallel={parallel}", "--log_every=1"]
    return subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)


def finish(workdir: Path, count: int, parallel: str = "auto") -> None:
    with start(workdir, count, parallel) as process:
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def interrupt(workdir: Path, count: int, number: int, after: int) -> str:
    """Send a signal once the line of step `after` is out."""
    with start(workdir, count) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"train step {after}"):
                break
        process.send_signal(number)
        rest = process.stderr.read()
    if number == signal.SIGTERM:
        assert process.returncode == 0, rest
    return rest


def final(workdir: Path) -> tuple[TrainState, dict]:
    import launch
    from jaxvision.data.inputs import Inputs

    values, name, config = launch.parse(["launch.py", *FLAGS])
    stage = launch.load(name).build(config, Inputs()).stages[0]
    batch = next(stage.data(0, 1))
    like = jax.eval_shape(stage.task.init, jax.random.PRNGKey(0), batch)
    return Checkpoints(workdir / "checkpoints" / "train").restore(like)


@pytest.mark.parametrize(
    "count", [pytest.param(1, marks=pytest.mark.exhaustive), pytest.param(4, marks=pytest.mark.long)]
)
def test_kill_and_resume_is_bit_exact(tmp_path: Path, count: int):
    finish(tmp_path / "straight", count)
    interrupt(tmp_path / "killed", count, signal.SIGKILL, after=6)
    finish(tmp_path / "killed", count)
    (straight, extra), (resumed, resumed_extra) = final(tmp_path / "straight"), final(tmp_path / "killed")
    assert int(straight.step) == STEPS and extra["data"] == resumed_extra["data"]
    chex.assert_trees_all_equal(straight, resumed)


@pytest.mark.long
def test_sigterm_saves_and_exits_0(tmp_path: Path):
    rest = interrupt(tmp_path, 1, signal.SIGTERM, after=2)
    assert "the same command goes on from there" in rest
    assert "stopped at step" in (tmp_path / "report.html").read_text()
    finish(tmp_path, 1)
    assert "finished" in (tmp_path / "report.html").read_text()
