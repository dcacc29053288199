"""Where a stage begins: at its newest checkpoint, or at a new state; and the trained network of a finished one."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxvision.train import devices as on
from jaxvision.train import progress
from jaxvision.train.checkpoint import Checkpoints
from jaxvision.train.compiling import announced
from jaxvision.train.types import Batch, Batches, Key, Predict, Stage, TrainState
from jaxvision.train.writer import METRICS, Writer, read_metrics


class Run(NamedTuple):
    """Where and how the stages of an experiment are run."""

    workdir: Path  # the folder of checkpoints, metrics and pictures
    key: Key  # uint32 [2]: the root of every random draw
    devices: on.Devices  # how the steps are shared between devices
    writer: Writer  # writes metrics and pictures into the workdir
    log_every: int = 20  # steps between lines in metrics.jsonl
    save_every: int = 500  # steps between checkpoints
    keep: int = 2  # checkpoints that are kept of each stage, beside the best
    initial: Callable[[TrainState], TrainState] = lambda state: state  # puts imported weights into a new state
    best: str = ""  # the metric whose highest value marks a checkpoint to keep as well, for example "val/accuracy"
    stop_after: int = 0  # evaluations without a better value of `best` after which a stage ends; 0: never


def checkpoints(stage: Stage, run: Run) -> tuple[Checkpoints, Checkpoints]:
    """Open a stage's newest checkpoints and its best one. The caller closes both."""
    newest = Checkpoints(run.workdir / "checkpoints" / stage.name, run.keep)
    return newest, Checkpoints(run.workdir / "checkpoints" / f"{stage.name}-best", 1)


def start(
    stage: Stage, run: Run, finished: Mapping[str, TrainState], data: Batches | None, newest: Checkpoints
) -> tuple[TrainState, dict[str, Any]]:
    """Restore the newest checkpoint (state and data position), or make a new, warm-started state.

    Args:
        stage: the stage to start.
        run: where and how it is run; `run.initial` puts imported weights into a new state.
        finished: final states of the stages before this one, by name.
        data: the stage's open training batches, moved to where the checkpoint was saved; None for a stage without.
        newest: the stage's checkpoints.

    Returns:
        The state, placed on the devices, and what the checkpoint holds beside it ("rows", the lines of metrics.jsonl,
        is 0 for a new state).

    Raises:
        ValueError: there are checkpoints and none can be read, or they are of another network.
    """
    with progress.busy(f"{stage.name}: reading the first images"):
        batch = on.first_batch(stage.data) if stage.data else {}
    restored = newest.restore(jax.eval_shape(stage.task.init, run.key, batch))
    if restored is None:
        with progress.busy(f"{stage.name}: drawing the first weights"):
            state = on.initial(stage.task, run.key, batch)
        state = run.initial(state) if stage.steps else state  # imported weights are where learning begins
        state = stage.warm_start(state, finished) if stage.warm_start else state
        return on.place(state, run.devices), {"rows": 0}
    state, extra = restored
    if data is not None:
        data.set_state(extra["data"])  # type: ignore[attr-defined]
    if stage.steps:
        run.writer.say(f"{stage.name}: goes on from step {int(state.step)} of {stage.steps} in {newest.directory}")
    else:
        run.writer.say(f"{stage.name}: done before, in {newest.directory}")
    return on.place(state, run.devices), extra


def restore(stage: Stage, run: Run, batch: Batch, checkpoint: str = "latest") -> tuple[Predict, TrainState]:
    """Load the trained network of a stage.

    Args:
        stage: the stage that was trained.
        run: where and how it was run.
        batch: a batch that has the shapes of those to come.
        checkpoint: "latest" or "best".

    Returns:
        The stage's compiled `predict`, and the state of the checkpoint, placed on the devices.

    Raises:
        ValueError: there is no such checkpoint, none can be read, or it is of another network.
    """
    newest, best = checkpoints(stage, run)
    with contextlib.closing(newest), contextlib.closing(best):
        chosen = best if checkpoint == "best" else newest
        restored = chosen.restore(jax.eval_shape(stage.task.init, run.key, batch))
        if restored is None:
            raise ValueError(f"{chosen.directory}: no checkpoint; train first, with --mode=train")
        if chosen is best:
            tell_of_lost_best(stage, run, best)
    predict = announced(on.compile_predict(stage.task, run.devices), "compiling the network")
    return predict, on.place(restored[0], run.devices)


def tell_of_lost_best(stage: Stage, run: Run, best: Checkpoints) -> None:
    """Say so where metrics.jsonl knows of a better state than the best checkpoint holds: it was lost, or damaged.

    Args:
        stage: the stage.
        run: its workdir has the metrics, its `best` is the metric's name.
        best: the stage's best checkpoint.
    """
    if jax.process_count() > 1:
        return  # the first may be writing the rows, and all would have to read the checkpoint
    rows = [row for row in read_metrics(run.workdir / METRICS) if row.get("stage") == stage.name and run.best in row]
    if not rows:
        return
    top, kept = max(rows, key=lambda row: row[run.best]), best.read_extra().get("score")
    if kept is None or kept < top[run.best]:
        has = "is missing" if kept is None else f"is of step {best.steps()[-1]}, where {run.best} was {kept:.4g}"
        run.writer.say(
            f"warning: {best.directory} {has}; the better one of step {top['step']} ({top[run.best]:.4g}) is not there"
        )
