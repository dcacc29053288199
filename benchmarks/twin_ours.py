"""Our side of `twins`: the experiment's stages in the training loop of `launch.py`, and the judge that a GAN needs."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import jax
from twin_cases import JUDGE, Task, figure_of

from jaxvision.train import devices, loop
from jaxvision.train.restore import Run, restore
from jaxvision.train.types import Experiment, Stage
from jaxvision.train.writer import Writer, read_metrics


def train(task: Task, workdir: Path, seconds: float) -> dict[str, float]:
    """Train to the end, or for so many seconds (0: no limit).

    Args:
        task: what is trained.
        workdir: of the run, from whose newest checkpoint it goes on.
        seconds: after which it saves itself and stops.

    Returns:
        "figure" and "seconds", the time of the training steps.

    Raises:
        Interrupted: the time was up; the state is saved.
    """
    stages = task.stages()
    stage = stages["train"]
    if JUDGE in stages:
        judge, warm = judge_state(task), stage.warm_start
        stage = stage._replace(warm_start=lambda state, _: warm(state, {JUDGE: judge}))
    _run(stage, workdir, task.seed, seconds)
    rows = read_metrics(workdir / "metrics.jsonl")
    figures = {key: value for row in rows for key, value in row.items()}
    return {"figure": figure_of(figures, task.case), "seconds": figures["time/train_seconds"]}


def train_judge(task: Task, seconds: float) -> None:
    """Train the judge of a GAN's samples, once for all seeds and sides."""
    _run(task._replace(seed=0).stages()[JUDGE], task.folder / JUDGE, 0, seconds)


def judge_state(task: Task) -> Any:
    """Load the trained judge."""
    stage = task._replace(seed=0).stages()[JUDGE]
    return restore(stage, _where(task.folder / JUDGE, 0), devices.first_batch(stage.data))[1]


def has_judge(task: Task) -> bool:
    """Return True if the case needs a judge."""
    return JUDGE in task.stages()


def _run(stage: Stage, workdir: Path, seed: int, seconds: float) -> None:
    alarm = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
    alarm.daemon = True
    if seconds:
        alarm.start()
    try:
        loop.train(Experiment((stage,)), _where(workdir, seed))
    finally:
        alarm.cancel()


def _where(workdir: Path, seed: int) -> Run:
    where = devices.choose("jit", jax.devices()[:1])
    return Run(workdir, jax.random.PRNGKey(seed), where, Writer(workdir), save_every=1000)


def write(path: Path, result: dict[str, float]) -> None:
    """Write a finished run's result, whole or not at all."""
    from jaxvision.files import atomic_write

    atomic_write(path, json.dumps(result))
