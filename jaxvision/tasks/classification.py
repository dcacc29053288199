"""Image classification: softmax cross entropy on any model that returns "logits".

Batches hold "image" (uint8 RGB [B, H, W, 3], normalised here) and "label" (int [B]). The logits are [B, K], or a class
map [B, h, w, K] of a convolutional head, which is averaged over its positions (Simonyan & Zisserman 2015, section 3.2).
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxvision.losses.classification import cross_entropy, mixup, soft_targets
from jaxvision.ops.images import Color, normalise
from jaxvision.ops.views import Views, looked_at, whole
from jaxvision.tasks import one_network
from jaxvision.train.steps import ema, step_key
from jaxvision.train.types import Batch, Key, Metrics, Task, TrainState

AUXILIARY_WEIGHT = 0.3  # of GoogLeNet's auxiliary classifiers (Szegedy et al. 2015, section 5)


def classification(
    model: nn.Module,
    tx: optax.GradientTransformationExtraArgs,
    *,
    mean: Color,
    std: Color,
    label_smoothing: float = 0.0,
    mixup_alpha: float = 0.0,
    average_decay: float = 0.0,
    views: Views = whole,
) -> Task:
    """Make the task of naming images.

    Args:
        model: (images, *, train) -> {"logits", …}, with a field `num_classes`; "aux_…" are auxiliary logits [B, K].
        tx: the optimizer.
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.
        label_smoothing: probability that targets spread over all classes.
        mixup_alpha: parameter of mixup's Beta distribution; 0: images are not mixed.
        average_decay: decay of a moving average of the parameters, in `aux`, that `predict` uses; 0: none.
        views: of an image in `predict`, over which probabilities are averaged.

    Returns:
        The task. Metrics are "loss" and "accuracy"; `predict` returns "probabilities" [B, K].
    """

    def init(key: Key, batch: Batch) -> TrainState:
        state = one_network.start(model, tx, key, normalise(batch["image"], mean, std))
        return dataclasses.replace(state, aux={"average": state.params}) if average_decay else state

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        mix_key, dropout_key = jax.random.split(step_key(state, axis_name))
        images = normalise(batch["image"], mean, std)
        targets = soft_targets(batch["label"], model.num_classes, label_smoothing)
        if mixup_alpha:
            images, targets = mixup(mix_key, images, targets, mixup_alpha)

        def loss_and_accuracy(outputs: Any) -> tuple[jax.Array, Metrics]:
            correct = accuracy(over_positions(outputs["logits"]), batch["label"])
            return loss_of(outputs, targets), {"accuracy": correct}

        state, metrics = one_network.train(
            model, tx, state, images, loss_and_accuracy, dropout_key=dropout_key, axis_name=axis_name
        )
        if average_decay:
            state = dataclasses.replace(state, aux={"average": ema(state.aux["average"], state.params, average_decay)})
        return state, metrics

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        averaged = dataclasses.replace(state, params=state.aux["average"]) if average_decay else state

        def classify(view: Float[Array, "B h w 3"]) -> Float[Array, "B K"]:
            return over_positions(one_network.evaluate(model, averaged, view)["logits"])

        return {"probabilities": looked_at(classify, views, normalise(batch["image"], mean, std))}

    return Task(init, step, predict)


def loss_of(outputs: dict[str, jax.Array], targets: Float[Array, "B K"]) -> Float[Array, ""]:
    """Compute the cross entropy of the logits, plus that of the auxiliary classifiers ("aux_…") at their weight."""
    side = [cross_entropy(x, targets) for name, x in outputs.items() if name.startswith("aux_")]
    return cross_entropy(over_positions(outputs["logits"]), targets) + AUXILIARY_WEIGHT * sum(side)


def accuracy(logits: Float[Array, "B K"], labels: Int[Array, " B"]) -> Float[Array, ""]:
    """Return the fraction of rows whose largest logit is the label's."""
    return jnp.mean((jnp.argmax(logits, axis=-1) == labels).astype(jnp.float32))


def over_positions(logits: Float[Array, "..."]) -> Float[Array, "B K"]:
    """Average a class map [B, h, w, K] over its positions; return logits [B, K] as they are."""
    return jnp.mean(logits, axis=(1, 2)) if logits.ndim == 4 else logits
