"""SimCLR (Chen, Kornblith, Norouzi & Hinton 2020): two views of an image attract, those of other images repel."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import optax

from jaxvision.losses.contrastive import nt_xent
from jaxvision.ops.augment import Augmentation
from jaxvision.ops.images import Color, normalise
from jaxvision.tasks.views import features, two_views
from jaxvision.train.steps import descend, init_state
from jaxvision.train.types import Batch, Key, Metrics, Task, TrainState


def simclr(
    network: Callable[[str | None], nn.Module],
    tx: optax.GradientTransformationExtraArgs,
    *,
    augment: Augmentation,
    mean: Color,
    std: Color,
    temperature: float,
) -> Task:
    """Learn from `batch["image"]` (uint8 RGB, normalised here), without labels (algorithm 1).

    `network(axis_name)` returns "pool" and "embedding". Its batch norm is to take its statistics over that axis of
    devices, so that it is global: within one device's rows the partner would give itself away (section 2.2). Both views
    pass it as one batch of 2B. Then the step is the same on any number of devices.

    `predict` returns `features` [B, D]. Metrics: "loss" and "accuracy", how often the partner is the nearest view.
    """
    alone = network(None)

    def init(key: Key, batch: Batch) -> TrainState:
        variables = alone.init(key, normalise(batch["image"], mean, std), train=True)
        return init_state(key, variables, tx.init(variables["params"]))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        views, model = two_views(state, batch["image"], augment, mean, std, axis_name), network(axis_name)

        def loss_fn(params: Any) -> tuple[jax.Array, tuple[Any, jax.Array]]:
            variables = {"params": params, **state.model_state}
            outputs, model_state = model.apply(variables, views, train=True, mutable=list(state.model_state))
            first, second = outputs["embedding"].reshape(2, len(batch["image"]), -1)
            found = nt_xent(first, second, temperature, axis_name)
            return found.loss, (model_state, found.accuracy)

        params, opt_state, loss, (model_state, accuracy) = descend(
            loss_fn, state.params, state.opt_state, tx, axis_name=axis_name
        )
        new = TrainState(state.step + 1, params, opt_state, model_state, state.aux, state.key)
        return new, {"loss": loss, "accuracy": accuracy}

    return Task(init, step, partial(features, alone, mean=mean, std=std))
