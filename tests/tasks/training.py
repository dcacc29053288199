"""A few steps of a task without the loop around them."""

from typing import Any

import jax

from jaxvision.train import devices
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
