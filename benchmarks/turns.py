"""Sides of a benchmark that take turns, each in a process of its own: in one, their thread pools hinder each other.

One works while the others wait, so that a slow spell of the machine does not decide a ratio, and makes a few calls in a
row, as steps come in training: the first after a pause faults its memory in anew and is not timed.
"""

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import util
from typing import Any, NamedTuple

import record

_IN_A_ROW = 2  # calls timed a turn

Calls = dict[str, Callable[[], Any]]
"""By what is done. Each call returns when its work is done."""
Side = Callable[[], Calls]
"""Prepares calls in its process. It is pickled: a function of a module, or a `partial` of one."""


class Measured(NamedTuple):
    """Of one side."""

    seconds: dict[str, float]  # of each of its calls, the median of all rounds
    peak_mib: float  # most memory its process ever held, compilation included


class Running(NamedTuple):
    """A task of ours as `launch.py` runs it on one device, always on the same batch."""

    train: Callable[[], None]  # one step
    predict: Callable[[], Any]
    state: Callable[[], Any]  # after the steps so far


def running(task: Any, batch: Mapping[str, Any], begin: Callable[[Any], Any] = lambda state: state) -> Running:
    """`begin` may change the first state. jax is imported here, by the side that needs it."""
    import jax

    from jaxvision.train import devices

    where = devices.choose("jit", jax.devices()[:1])
    step, predict = devices.compile_step(task, where), devices.compile_predict(task, where)
    box = [devices.place(begin(devices.initial(task, jax.random.PRNGKey(0), batch)), where)]

    def train() -> None:
        box[0], metrics = step(box[0], batch)
        jax.block_until_ready((box[0].params, metrics))

    return Running(train, lambda: predict(box[0], batch), lambda: box[0])


def require(script: str, *packages: str) -> None:
    """Ends the run, in one line, where there is nothing to compare with."""
    if not all(util.find_spec(package) for package in packages):
        sys.exit(f"benchmarks/{script} compares with {packages[-1]}: pip install {' '.join(packages)}")


def compare(sides: Mapping[str, Side], rounds: int, row: str) -> dict[str, Measured]:
    """The sides by name. A first round, in which what compiles is compiled, does not count; `row` is for `record`."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name, side in sides.items():
        pipes[name], there = context.Pipe()
        processes.append(context.Process(target=_serve, args=(side, there), daemon=True))
        processes[-1].start()
        there.close()
    found = [{name: _ask(name, pipe) for name, pipe in pipes.items()} for _ in range(rounds + 1)][1:]
    for pipe in pipes.values():
        pipe.send("stop")
    for process in processes:
        process.join()
    peaks = {name: found[-1][name].peak_mib for name in sides}
    for what in found[-1][record.OURS].seconds:
        record.leave(row, what, {name: [one[name].seconds[what] for one in found] for name in sides}, peaks)
    return {name: _summary([one[name] for one in found]) for name in sides}


def _ask(name: str, pipe: Any) -> Measured:
    try:
        pipe.send("go")
        return pipe.recv()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(f"the side {name} has stopped, for the reason above")


def _serve(side: Side, pipe: Any) -> None:
    """One side's process: a round for each "go"."""
    calls = side()
    while pipe.recv() == "go":
        seconds = {what: _seconds(call) for what, call in calls.items()}
        pipe.send(Measured(seconds, _peak_mib()))


def _seconds(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(1 + _IN_A_ROW):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


def _summary(rounds: list[Measured]) -> Measured:
    seconds = {what: statistics.median(one.seconds[what] for one in rounds) for what in rounds[0].seconds}
    return Measured(seconds, rounds[-1].peak_mib)
