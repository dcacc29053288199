"""A few steps of a task without the loop around them, and what every task must keep to."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import chex
import jax

from jaxvision.train import devices
from jaxvision.train.checkpoint import Checkpoints
from jaxvision.train.types import Batch, Task, TrainState

ONE = devices.choose("jit", jax.devices()[:1])


def train(task: Task, batch: Batch, steps: int, where: devices.Devices = ONE) -> tuple[TrainState, Any]:
    """The state after `steps` on the same batch, from seed 0, and the last step's metrics."""
    state = devices.place(jax.jit(task.init)(jax.random.PRNGKey(0), batch), where)
    step = devices.compile_step(task, where)
    metrics: Any = {}
    for _ in range(steps):
        state, metrics = step(state, batch)
    return state, metrics


def goes_on_bit_for_bit(task: Task, state: TrainState, batch: Batch, directory: Path, each: int = 3) -> None:
    """Asserts that steps from a new `state` are as many without a stop as `each`, a checkpoint, and `each`."""
    state, step = devices.place(state, ONE), devices.compile_step(task, ONE)
    checkpoints = Checkpoints(directory, 1)
    for i in range(2 * each):
        if i == each:
            checkpoints.save(each, state, {})
            checkpoints.wait()
        state, _ = step(state, batch)
    restored, _ = checkpoints.restore(jax.eval_shape(task.init, jax.random.PRNGKey(0), batch))
    checkpoints.close()
    again = devices.place(restored, ONE)
    for _ in range(each):
        again, _ = step(again, batch)
    chex.assert_trees_all_equal(devices.to_host(again), devices.to_host(state))


def compiles_once(task: Task, state: TrainState, batches: Iterable[Batch]) -> TrainState:
    """The state after a step on each batch; asserts that one program served all of them."""
    traces: list[int] = []

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Any]:
        traces.append(1)
        return task.step(state, batch)

    run = jax.jit(step)
    for batch in batches:
        state, _ = run(state, batch)
    assert len(traces) == 1
    return state
