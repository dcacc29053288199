"""The one training loop. An experiment gives it stages; it does the rest, in one fixed order:

build → start, or restore state and data → for each step: run, log, look (hooks), save → look and save at the end.
A stage without steps makes something else instead, once: see `types.Make`.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence

from jaxvision.train import devices as on
from jaxvision.train.checkpoint import Checkpoints
from jaxvision.train.compiling import announced
from jaxvision.train.early_stopping import stalled
from jaxvision.train.restore import Run, checkpoints, start
from jaxvision.train.signals import Interrupted, stop_at_once, stop_requests
from jaxvision.train.types import Experiment, Hook, Predict, Result, Stage, TrainState
from jaxvision.train.window import Window
from jaxvision.train.writer import METRICS, read_metrics


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
    window = Window(stage.name, run.writer)

    def save(state: TrainState) -> None:
        window.flush()  # so that no state is saved behind a non-finite loss
        position = data.get_state() if data else None  # type: ignore[attr-defined]
        newest.save(step, state, {"data": position, "seconds": time.monotonic() - began})

    with contextlib.ExitStack() as stack:
        for opened in (newest, best):
            stack.enter_context(contextlib.closing(opened))
        data = stack.enter_context(on.share(stage.data)) if stage.data and stage.steps else None
        state, seconds = start(stage, run, finished, data, newest)
        step, stop = int(state.step), stack.enter_context(stop_requests())
        stack.enter_context(run.writer.progress(stage.name, step, stage.steps))
        # The start as if the run had never stopped; hooks move it forward, so that their time is not counted.
        began = time.monotonic() - seconds
        if not stage.steps and not newest.steps():
            state = _make(stage, run, predict, state)
            save(state)
        done = newest.directory / "finished"
        ended = done.exists() or (step > 0 and _stalled(stage, run))
        while step < stage.steps and not ended:
            assert data is not None
            state, metrics = step_fn(state, next(data))
            step += 1
            window.add(step, metrics)
            if step % run.log_every == 0:
                window.turn()
            if due := [h for h in stage.hooks if h.every and step % h.every == 0 and step < stage.steps]:
                window.flush()
                before = time.monotonic()
                with run.writer.paused():
                    look(due, predict, state, stage.name, run, best)
                began += time.monotonic() - before
                if ended := _stalled(stage, run):
                    save(state)
                    break
            if stop(step % run.log_every == 0):
                save(state)
                raise Interrupted(
                    f"stopped at step {step} of {stage.steps}, saved; the same command goes on from there"
                )
            if step % run.save_every == 0 or step == stage.steps:
                save(state)
        if not done.exists():
            if stage.steps:
                run.writer.write(stage.name, step, {f"time/{stage.name}_seconds": time.monotonic() - began})
            look(stage.hooks, predict, state, stage.name, run, best)
            for kept in (newest, best):
                kept.wait()  # what "finished" vouches for is on disk first
            done.touch()
    return state


def _stalled(stage: Stage, run: Run) -> bool:
    """Return whether the stage is to end early, and say so; every process reads the same file."""
    if not run.stop_after or not stalled(read_metrics(run.workdir / METRICS), stage.name, run.best, run.stop_after):
        return False
    run.writer.say(f"{stage.name}: {run.best} has not risen in {run.stop_after} evaluations (--stop_after), so it ends")
    return True


def look(
    hooks: Sequence[Hook], predict: Predict, state: TrainState, stage: str, run: Run, best: Checkpoints | None = None
) -> Result:
    """Run hooks, write their results, and keep the state where it is the best so far.

    Args:
        hooks: the hooks to run.
        predict: the task's compiled `predict`.
        state: the state to look at.
        stage: the name under which the results are written.
        run: its writer, and the metric that tells which state is best.
        best: the checkpoints for the best state; None keeps none.

    Returns:
        What the hooks returned, together.
    """
    step = int(on.to_host(state.step))
    result: Result = {}
    for hook in hooks:
        result |= hook.run(predict, state)
    run.writer.write(stage, step, result)
    if best is not None and run.best in result:
        score = float(result[run.best])
        if not best.steps() or score > best.read_extra()["score"]:
            best.save(step, state, {"score": score})
    return result


def _make(stage: Stage, run: Run, predict: Predict, state: TrainState) -> TrainState:
    """Let a stage without steps make its state, and write its results together with the seconds that took."""
    if stage.make is None:
        return state
    began = time.monotonic()
    with stop_at_once(stage.name):
        state, result = stage.make(predict, state, run.writer.say)
    seconds = {f"time/{stage.name}_seconds": time.monotonic() - began}
    run.writer.write(stage.name, int(state.step), {**seconds, **result})
    return on.place(state, run.devices)
