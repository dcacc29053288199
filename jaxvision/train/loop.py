"""The one training loop. An experiment gives it stages; it does the rest, in one fixed order:

build → start, or restore state and data → for each step: run, log, look (hooks), save → look and save at the end.
A stage without steps makes something else instead, once: see `types.Make`.
"""

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from jaxvision.files import atomic_write
from jaxvision.train import devices as on
from jaxvision.train.checkpoint import Checkpoints
from jaxvision.train.compiling import announced
from jaxvision.train.early_stopping import stalled
from jaxvision.train.restore import Run, checkpoints, start, tell_of_lost_best
from jaxvision.train.signals import Interrupted, Stop, stop_at_once, stop_requests
from jaxvision.train.types import Batches, Experiment, Hook, Predict, Result, Stage, TrainState
from jaxvision.train.window import Window
from jaxvision.train.writer import METRICS, Writer, read_metrics


def train(experiment: Experiment, run: Run) -> TrainState:
    """Run every stage in order; return the state of the last one."""
    finished: dict[str, TrainState] = {}
    run = run._replace(best=experiment.best)
    for stage in experiment.stages:
        finished[stage.name] = run_stage(stage, run, finished)
    return finished[experiment.stages[-1].name]


def run_stage(stage: Stage, run: Run, finished: Mapping[str, TrainState]) -> TrainState:
    """Run one stage from where it stands to its last step.

    Args:
        stage: the task, its data and its number of steps.
        run: where and how it is run.
        finished: final states of the stages before this one, by name, to warm-start from.

    Returns:
        The state after the last step.

    Raises:
        Interrupted: a signal asked to stop; the step under way was finished and saved.
        ValueError: a metric is not finite, or the checkpoints are not this network's.
    """
    step_fn = announced(on.compile_step(stage.task, run.devices), f"{stage.name}: compiling the step")
    predict = announced(on.compile_predict(stage.task, run.devices), f"{stage.name}: compiling the evaluation")
    newest, best = checkpoints(stage, run)
    window, done = Window(stage.name, run.writer), newest.directory / "finished"
    with contextlib.ExitStack() as stack:
        for opened in (newest, best):
            stack.enter_context(contextlib.closing(opened))
        data = stack.enter_context(on.share(stage.data)) if stage.data and stage.steps else None
        state, saved = start(stage, run, finished, data, newest)
        step, stop = int(state.step), stack.enter_context(stop_requests(stage.name))
        if done.exists() and done.read_text() not in ("", str(step)):
            done.unlink(missing_ok=True)  # the last checkpoint was damaged since
        rows = None if done.exists() else saved.get("rows")
        stack.enter_context(run.writer.progress(stage.name, step, stage.steps, rows))
        window.go_on(step, saved.get("window", ()))
        tell_of_lost_best(stage, run, best)
        save = partial(_save, newest, best, window, data, run.writer)
        # The start as if the run had never stopped; hooks move it forward, so that their time is not counted.
        began, first, unseen = time.monotonic() - saved.get("seconds", 0.0), step, saved.get("unseen", False)
        if not stage.steps and not newest.steps():
            state = _make(stage, run, predict, state)
            save(state, began)
        ended = done.exists() or (step > 0 and not unseen and _stalled(stage, run))
        while step < stage.steps and not ended:
            if not unseen:
                assert data is not None
                with stop.at_once() if step == first else contextlib.nullcontext():  # it is compiled
                    state, metrics = step_fn(state, next(data))
                step += 1
                window.add(step, metrics)
                if step % run.log_every == 0:
                    window.turn()
                    newest.check()
            unseen = False
            if due := [h for h in stage.hooks if h.every and step % h.every == 0 and step < stage.steps]:
                window.write_whole()
                before = time.monotonic()
                with run.writer.paused():
                    unseen = not _seen(due, predict, state, stage.name, run, best, stop)
                began += time.monotonic() - before
                ended = not unseen and _stalled(stage, run)
            if unseen or stop(step % run.log_every == 0):
                save(state, began, unseen=unseen)
                line = f"stopped at step {step} of {stage.steps}, saved; the same command goes on from there"
                raise Interrupted(line, agreed=True)
            if ended or step % run.save_every == 0 or step == stage.steps:
                save(state, began)
        if not done.exists():
            window.flush()
            if stage.steps:
                run.writer.write(stage.name, step, {f"time/{stage.name}_seconds": time.monotonic() - began})
            look(stage.hooks, predict, state, stage.name, run, best, stop)
            _say_finished(done, step, run, newest, best)
    return state


def _stalled(stage: Stage, run: Run) -> bool:
    """Return whether the stage is to end early, and say so; every process reads the same file."""
    if not run.stop_after or not stalled(read_metrics(run.workdir / METRICS), stage.name, run.best, run.stop_after):
        return False
    run.writer.say(f"{stage.name}: {run.best} has not risen in {run.stop_after} evaluations (--stop_after), so it ends")
    return True


def look(
    hooks: Sequence[Hook],
    predict: Predict,
    state: TrainState,
    stage: str,
    run: Run,
    best: Checkpoints | None = None,
    stop: Stop | None = None,
) -> Result:
    """Run hooks, write their results, and keep the state where it is the best so far.

    Args:
        hooks: the hooks to run.
        predict: the task's compiled `predict`.
        state: the state to look at.
        stage: the name under which the results are written.
        run: its writer, and the metric that tells which state is best.
        best: the checkpoints for the best state; None keeps none.
        stop: lets a signal end a hook; None leaves signals as they are.

    Returns:
        What the hooks returned, together.

    Raises:
        Interrupted: a signal came while a hook ran; nothing was written.
    """
    step = int(on.to_host(state.step))
    result: Result = {}
    for hook in hooks:
        with stop.at_once() if stop else contextlib.nullcontext():
            result |= hook.run(predict, state)
    run.writer.write(stage, step, result)
    if best is not None and run.best in result:
        score = float(result[run.best])
        if score > best.read_extra().get("score", -math.inf):
            best.save(step, state, {"score": score})
    return result


def _say_finished(done: Path, step: int, run: Run, *kept: Checkpoints) -> None:
    """Write the file that says that a stage has finished, once everything that it vouches for is on disk."""
    for each in kept:
        each.wait()
    if run.writer.active:
        atomic_write(done, str(step))


def _save(
    newest: Checkpoints,
    best: Checkpoints,
    window: Window,
    data: Batches | None,
    writer: Writer,
    state: TrainState,
    began: float,
    *,
    unseen: bool = False,
) -> None:
    """Save the state with all that is needed to go on as if the run had never stopped.

    Args:
        newest: where it is saved.
        best: the best checkpoint so far, which a newer state vouches for, so that it is on disk first.
        window: the metrics; none that is not finite may lie behind the state.
        data: the training batches; None for a stage without.
        writer: knows how many rows are written so far.
        state: the state.
        began: when the stage would have begun, had it never stopped.
        unseen: True if the hooks of this step have not run.
    """
    window.write_whole()
    position = data.get_state() if data else None  # type: ignore[attr-defined]
    extra = {"data": position, "seconds": time.monotonic() - began, "window": window.unfinished(), "unseen": unseen}
    best.wait()
    newest.save(int(on.to_host(state.step)), state, {**extra, "rows": writer.saved_rows(window.stage)})


def _seen(
    due: Sequence[Hook], predict: Predict, state: TrainState, stage: str, run: Run, best: Checkpoints, stop: Stop
) -> bool:
    """Look, and return True; False where a signal came meanwhile, and the same hooks are due when the run goes on."""
    try:
        look(due, predict, state, stage, run, best, stop)
    except Interrupted:
        return False
    return True


def _make(stage: Stage, run: Run, predict: Predict, state: TrainState) -> TrainState:
    """Let a stage without steps make its state, and write its results together with the seconds that took."""
    if stage.make is None:
        return state
    began = time.monotonic()
    with stop_at_once(f"stage {stage.name}"):
        state, result = stage.make(predict, state, run.writer.say)
    seconds = {f"time/{stage.name}_seconds": time.monotonic() - began}
    run.writer.write(stage.name, int(state.step), {**seconds, **result})
    return on.place(state, run.devices)
