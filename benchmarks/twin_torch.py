"""The loop around a torch twin: our batches in their order, checkpoints, and our evaluation at the end."""

import time
from pathlib import Path
from typing import Any

import torch
import twin_learners
from twin_cases import Task, figure_of

from jaxvision.train.signals import Interrupted


def train(task: Task, workdir: Path, seconds: float) -> dict[str, float]:
    """Train to the end, or for so many seconds (0: no limit).

    Args:
        task: what is trained.
        workdir: of the run, from whose checkpoint it goes on.
        seconds: after which it saves itself and stops.

    Returns:
        "figure" and "seconds", the time of the training steps.

    Raises:
        Interrupted: the time was up; the state is saved.
    """
    deadline = time.monotonic() + seconds if seconds else float("inf")
    stage = task.stages()["train"]
    learner: Any = getattr(twin_learners, task.case.learner)(task)
    data, saved = stage.data(0, 1), workdir / "checkpoint.pt"
    step, spent = 0, 0.0
    if saved.exists():
        state = torch.load(saved, weights_only=False)
        learner.restore(state["learner"])
        data.set_state(state["data"])
        step, spent = state["step"], state["seconds"]
    began = time.monotonic() - spent
    while step < task.steps:
        learner.step(next(data), step)
        step += 1
        if time.monotonic() > deadline or step == task.steps:
            workdir.mkdir(parents=True, exist_ok=True)
            state = {"learner": learner.state(), "data": data.get_state(), "step": step}
            torch.save({**state, "seconds": time.monotonic() - began}, saved.with_suffix(".new"))
            saved.with_suffix(".new").replace(saved)
            if step < task.steps:
                raise Interrupted(f"stopped at step {step} of {task.steps}")
    spent = time.monotonic() - began
    data.close()
    result: dict[str, Any] = {}
    for hook in stage.hooks:
        result |= hook.run(lambda state, batch: learner.predict(batch), None)
    return {"figure": figure_of(result, task.case), "seconds": spent}
