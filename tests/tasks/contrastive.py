"""A tiny network for contrastive tasks, and a batch for it."""

from functools import partial

import flax.linen as nn
import jax
import numpy as np

from jaxvision.models.layers import BatchNorm, Layer
from jaxvision.models.ssl_heads import Projected, ProjectionHead
from jaxvision.ops import augment
from jaxvision.tasks.views import two_views
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Task, TrainState

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


@jax.jit
def views_of(state: TrainState, images: jax.Array) -> jax.Array:
    """The views that a step on one device draws."""
    return two_views(state, images, AUGMENT, **GREY, axis_name=None)


def start(task: Task, batch: dict | None = None):
    return jax.jit(task.init)(jax.random.PRNGKey(0), batch or batch_of())
