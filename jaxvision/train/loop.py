"""The one training loop. An experiment gives it stages; it does the rest, in one fixed order:

build → start, or restore state and data → for each step: run, log, look (hooks), save → look and save at the end.
A stage without steps makes something else instead, once: see `types.Make`.
"""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvision.train import devices as on
from jaxvision.train.checkpoint import Checkpoints
from jaxvision.train.types import Batch, Batches, Experiment, Hook, Key, Metrics, Predict, Result, Stage, TrainState
from jaxvision.train.writer import Writer

IN_FLIGHT = 2  # steps handed over before the host waits: enough to hide the host, too few to pile up batches


class Run(NamedTuple):
    """Where and how the stages are run."""

    workdir: Path
    key: Key
    devices: on.Devices
    writer: Writer
    log_every: int = 20
    save_every: int = 500
    keep: int = 2  # checkpoints
    initial: Callable[[TrainState], TrainState] = lambda state: state  # puts imported weights into a new state
    best: str = ""  # the experiment's: the metric whose highest value marks a checkpoint to keep besides


class Interrupted(Exception):
    """SIGTERM or SIGINT came. The step under way was finished and saved."""


def train(experiment: Experiment, run: Run) -> TrainState:
    """Every stage in order. The state of the last one."""
    finished: dict[str, TrainState] = {}
    run = run._replace(best=experiment.best)
    for stage in experiment.stages:
        finished[stage.name] = run_stage(stage, run, finished)
    return finished[experiment.stages[-1].name]


def run_stage(stage: Stage, run: Run, finished: Mapping[str, TrainState]) -> TrainState:
    """One stage, from where it stands to its last step. Raises `Interrupted`; ValueError for a non-finite metric."""
    step_fn, predict = on.compile_step(stage.task, run.devices), on.compile_predict(stage.task, run.devices)
    newest, best = _open(stage, run)
    window = _Window(stage.name, run.writer)

    def save(state: TrainState) -> None:
        window.flush()  # so that no state is saved behind a non-finite loss
        place = data.get_state() if data else None  # type: ignore[attr-defined]
        newest.save(step, state, {"data": place, "seconds": time.monotonic() - began})

    with contextlib.ExitStack() as stack:
        for checkpoints in (newest, best):
            stack.enter_context(contextlib.closing(checkpoints))
        data = stack.enter_context(on.share(stage.data)) if stage.data and stage.steps else None
        state, seconds = start(stage, run, finished, data, newest)
        step, stop = int(state.step), stack.enter_context(_stop_requests())
        stack.enter_context(run.writer.progress(stage.name, step, stage.steps))
        began = time.monotonic() - seconds  # had it not been stopped, and without the time of the hooks
        if not stage.steps and not newest.steps():
            state = _make(stage, run, predict, state)
            save(state)
        while step < stage.steps:
            assert data is not None
            state, metrics = step_fn(state, next(data))
            step += 1
            window.add(step, metrics)
            if step % run.log_every == 0:
                window.turn()
            if due := [h for h in stage.hooks if h.every and step % h.every == 0 and step < stage.steps]:
                window.flush()
                looking = time.monotonic()
                look(due, predict, state, step, stage.name, run, best)
                began += time.monotonic() - looking
            if stop(step % run.log_every == 0):
                save(state)
                raise Interrupted(
                    f"stopped at step {step} of {stage.steps}, saved; the same command goes on from there"
                )
            if step % run.save_every == 0 or step == stage.steps:
                save(state)
        if not (done := newest.directory / "finished").exists():
            if stage.steps:
                run.writer.write(stage.name, step, {f"time/{stage.name}_seconds": time.monotonic() - began})
            look(stage.hooks, predict, state, step, stage.name, run, best)
            newest.wait()
            done.touch()
    return state


def start(
    stage: Stage, run: Run, finished: Mapping[str, TrainState], data: Batches | None, newest: Checkpoints
) -> tuple[TrainState, float]:
    """The newest checkpoint's state, with `data` put where it stood; or a new state, warm-started. And the seconds that
    went into it.
    """
    batch = on.first_batch(stage.data) if stage.data else {}
    restored = newest.restore(jax.eval_shape(stage.task.init, run.key, batch))
    if restored is None:
        state = on.initial(stage.task, run.key, batch)
        state = run.initial(state) if stage.steps else state  # imported weights are where learning begins
        state = stage.warm_start(state, finished) if stage.warm_start else state
        return on.place(state, run.devices), 0.0
    state, extra = restored
    if data is not None:
        data.set_state(extra["data"])  # type: ignore[attr-defined]
    if stage.steps:
        run.writer.say(f"{stage.name}: goes on from step {int(state.step)} of {stage.steps} in {newest.directory}")
    else:
        run.writer.say(f"{stage.name}: done before, in {newest.directory}")
    return on.place(state, run.devices), extra.get("seconds", 0.0)


def restore(stage: Stage, run: Run, batch: Batch, which: str = "latest") -> tuple[Predict, TrainState]:
    """The trained network of a stage, for a look: its compiled `predict` and the `latest` or the `best` state."""
    newest, best = _open(stage, run)
    with contextlib.closing(newest), contextlib.closing(best):
        chosen = best if which == "best" else newest
        restored = chosen.restore(jax.eval_shape(stage.task.init, run.key, batch))
        if restored is None:
            raise ValueError(f"{chosen.directory}: no checkpoint; train first, with --mode=train")
    return on.compile_predict(stage.task, run.devices), on.place(restored[0], run.devices)


def look(
    hooks: tuple[Hook, ...] | list[Hook],
    predict: Predict,
    state: TrainState,
    step: int,
    stage: str,
    run: Run,
    best: Checkpoints | None = None,
) -> Result:
    """Run the hooks, write what they say, and keep the state when it is the best so far."""
    result: Result = {}
    for hook in hooks:
        result |= hook.run(predict, state)
    run.writer.write(stage, step, result)
    if best is not None and run.best in result:
        score = float(result[run.best])
        if best.steps() == [] or score > best.read_extra()["score"]:
            best.save(step, state, {"score": score})
    return result


def _make(stage: Stage, run: Run, predict: Predict, state: TrainState) -> TrainState:
    """What the stage makes, in a row of its own with the seconds that took."""
    if stage.make is None:
        return state
    began = time.monotonic()
    with _stop_at_once(stage.name):
        state, result = stage.make(predict, state, run.writer.say)
    seconds = {f"time/{stage.name}_seconds": time.monotonic() - began}
    run.writer.write(stage.name, int(state.step), {**seconds, **result})
    return on.place(state, run.devices)


class _Window:
    """Metrics that are still on the device. They are fetched one window late, when they have long been computed."""

    def __init__(self, stage: str, writer: Writer):
        self.stage, self.writer = stage, writer
        self.previous: list[tuple[int, float, Metrics]] = []  # (step, when it was handed over, metrics)
        self.current: list[tuple[int, float, Metrics]] = []

    def add(self, step: int, metrics: Metrics) -> None:
        self.current.append((step, time.monotonic(), metrics))
        if len(self.current) > IN_FLIGHT:
            jax.block_until_ready(self.current[-1 - IN_FLIGHT][2])
        self.writer.advance()

    def turn(self) -> None:
        if self.previous:
            self._write(*zip(*self.previous, strict=True))
        self.previous, self.current = self.current, []

    def flush(self) -> None:
        self.previous, self.current = self.previous + self.current, []
        self.turn()

    def _write(self, steps: tuple[int, ...], times: tuple[float, ...], metrics: tuple[Metrics, ...]) -> None:
        rows = jax.device_get(metrics)
        for step, row in zip(steps, rows, strict=True):
            _check_finite(step, row)
        values: dict[str, Any] = {f"train/{k}": np.mean([row[k] for row in rows]) for k in rows[0]}
        if len(steps) > 1:
            values["time/steps_per_second"] = (len(steps) - 1) / max(times[-1] - times[0], 1e-9)
        self.writer.write(self.stage, steps[-1], values)


def _check_finite(step: int, row: Mapping[str, Any]) -> None:
    for name, value in row.items():
        if not np.isfinite(value):
            raise ValueError(
                f"step {step}: train/{name} is {float(value)}; lower --optimizer.lr or set --optimizer.clip_norm "
                "(the same command goes on from the last checkpoint)"
            )


def _open(stage: Stage, run: Run) -> tuple[Checkpoints, Checkpoints]:
    newest = Checkpoints(run.workdir / "checkpoints" / stage.name, run.keep)
    return newest, Checkpoints(run.workdir / "checkpoints" / f"{stage.name}-best", 1)


@contextlib.contextmanager
def _stop_requests() -> Iterator[Any]:
    """Yields `stop(agree)`: whether SIGTERM or SIGINT came here, or, when all processes `agree` to ask, to any of them.

    A second SIGINT is an ordinary KeyboardInterrupt.
    """
    came = []

    def note(number: int, frame: Any) -> None:
        came.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop(agree: bool) -> bool:
        if jax.process_count() == 1:
            return bool(came)
        return agree and on.any_process(bool(came))

    with _handling(note):
        yield stop


@contextlib.contextmanager
def _stop_at_once(stage: str) -> Iterator[None]:
    """SIGTERM and SIGINT raise `Interrupted`: what is made is in files, whole ones, that the next run goes on from."""

    def leave(number: int, frame: Any) -> None:
        raise Interrupted(f"stopped in stage {stage}; the same command goes on from there")

    with _handling(leave):
        yield


@contextlib.contextmanager
def _handling(handler: Callable[[int, Any], None]) -> Iterator[None]:
    before = {s: signal.signal(s, handler) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
