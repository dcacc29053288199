"""SimCLR (Chen, Kornblith, Norouzi & Hinton 2020): two views of an image attract, those of other images repel.

Batches hold "image" (uint8 RGB [B, H, W, 3], normalised here), without labels.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import optax

from jaxvision.losses.contrastive import nt_xent
from jaxvision.ops.augment import Augmentation
from jaxvision.ops.images import Color, normalise
from jaxvision.tasks import one_network
from jaxvision.tasks.views import features, see_views, two_views
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
    """Make the task of telling which two views come from one image (algorithm 1).

    Both views of all images pass the network as one batch of 2B rows, so that a step is the same on any number of
    devices.

    Args:
        network: makes the network, which returns "pool" and "embedding", for an axis of devices. Its batch norm must
            take statistics over that axis: within one device's rows the partner would give itself away (section 2.2).
        tx: the optimizer.
        augment: draws a view.
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.
        temperature: τ of the loss.

    Returns:
        The task. Metrics are "loss" and "accuracy", the share of views whose partner is the nearest; `predict` returns
        "features" [B, D].
    """
    alone = network(None)

    def init(key: Key, batch: Batch) -> TrainState:
        return one_network.start(alone, tx, key, normalise(batch["image"], mean, std))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        def contrast(outputs: Any) -> tuple[jax.Array, Metrics]:
            first, second = outputs["embedding"].reshape(2, len(batch["image"]), -1)
            result = nt_xent(first, second, temperature, axis_name)
            return result.loss, {"accuracy": result.accuracy}

        views = two_views(state, batch["image"], augment, mean, std, axis_name, batch.get("second"))
        return one_network.train(network(axis_name), tx, state, views, contrast, axis_name=axis_name)

    predict, see = partial(features, alone, mean=mean, std=std), partial(see_views, augment=augment)
    return Task(init, step, predict, see)
