"""A tiny network for contrastive tasks, a batch for it, and what every such task must keep to."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import chex
import flax.linen as nn
import jax
import numpy as np

from jaxvision.models.layers import BatchNorm, Layer
from jaxvision.models.ssl_heads import Projected, ProjectionHead
from jaxvision.ops import augment
from jaxvision.train import devices
from jaxvision.train.checkpoint import Checkpoints
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Task
from tests.tasks.training import ONE

GREY = {"mean": (127.5, 127.5, 127.5), "std": (60.0, 60.0, 60.0)}
SGD = Optimizer(lr=0.05).make(10)
AUGMENT = augment.chain(
    partial(augment.random_resized_crop, size=4),
    partial(augment.flip, probability=0.5),
    partial(augment.color_jitter, strengths=(0.2, 0.2, 0.2, 0.1), probability=0.8),
)


class Encoder(nn.Module):
    """One layer on each pixel; sees colours."""

    norm: Layer = BatchNorm

    @nn.compact
    def __call__(self, x, *, train):
        x = self.norm(use_running_average=not train, name="bn")(nn.Dense(8, name="layer1")(x))
        return {"pool": nn.relu(x).mean((1, 2))}


def network(norm: Layer = BatchNorm) -> nn.Module:
    return Projected(Encoder(norm), ProjectionHead(5))


def batch_of(rows: int = 8) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    colors = rng.integers(30, 220, (rows, 1, 1, 3))
    return {"image": (colors + rng.integers(-25, 26, (rows, 6, 6, 3))).astype(np.uint8)}


def start(task: Task, batch: dict | None = None):
    return jax.jit(task.init)(jax.random.PRNGKey(0), batch or batch_of())


def goes_on_bit_for_bit(task: Task, directory: Path) -> None:
    """Six steps are three, a checkpoint, and three."""
    batch, step = batch_of(), devices.compile_step(task, ONE)
    state, checkpoints = devices.place(start(task), ONE), Checkpoints(directory, 1)
    for i in range(6):
        if i == 3:
            checkpoints.save(3, state, {})
            checkpoints.wait()
        state, _ = step(state, batch)
    restored, _ = checkpoints.restore(jax.eval_shape(task.init, jax.random.PRNGKey(0), batch))
    checkpoints.close()
    again = devices.place(restored, ONE)
    for _ in range(3):
        again, _ = step(again, batch)
    chex.assert_trees_all_equal(devices.to_host(again), devices.to_host(state))


def compiles_once(task: Task) -> None:
    traces, batch = [], batch_of()

    def step(state, batch):
        traces.append(1)
        return task.step(state, batch)

    run: Callable = jax.jit(step)
    state = start(task)
    for other in (batch, {"image": 255 - batch["image"]}, batch):
        state, _ = run(state, other)
    assert len(traces) == 1
