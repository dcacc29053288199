"""Image classification: softmax cross entropy on any model that returns "logits".

Batches hold "image" (uint8 RGB [B, H, W, 3], normalised here) and "label" (int [B]). The logits are [B, K], or a class
map [B, h, w, K] of a convolutional head, which is averaged over its positions (Simonyan & Zisserman 2015, section 3.2).
"""

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
from jaxvision.train.steps import step_key
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
        views: of an image in `predict`, over which probabilities are averaged.

    Returns:
        The task. Metrics are "loss" and "accuracy"; `predict` returns "probabilities" [B, K] and, of a batch with
        "embed", "features" [B, F], those before the last layer, averaged over the views as well.
    """

    def init(key: Key, batch: Batch) -> TrainState:
        return one_network.start(model, tx, key, normalise(batch["image"], mean, std))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        mix_key, dropout_key = jax.random.split(step_key(state, axis_name))
        images = normalise(batch["image"], mean, std)
        targets = soft_targets(batch["label"], model.num_classes, label_smoothing)
        if mixup_alpha:
            images, targets = mixup(mix_key, images, targets, mixup_alpha)

        def loss_and_accuracy(outputs: Any) -> tuple[jax.Array, Metrics]:
            correct = accuracy(over_positions(outputs["logits"]), batch["label"])
            return loss_of(outputs, targets), {"accuracy": correct}

        return one_network.train(
            model, tx, state, images, loss_and_accuracy, dropout_key=dropout_key, axis_name=axis_name
        )

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        images = normalise(batch["image"], mean, std)

        def classify(view: Float[Array, "B h w 3"]) -> dict[str, jax.Array]:
            outputs = one_network.evaluate(model, state, view)
            found = {"probabilities": jax.nn.softmax(over_positions(outputs["logits"]).astype(jnp.float32))}
            return {**found, "features": last_features(outputs)} if "embed" in batch else found

        return looked_at(classify, views, images)

    return Task(init, step, predict)


def loss_of(outputs: dict[str, jax.Array], targets: Float[Array, "B K"]) -> Float[Array, ""]:
    """Compute the cross entropy of the logits, plus that of the auxiliary classifiers ("aux_…") at their weight."""
    side = [cross_entropy(x, targets) for name, x in outputs.items() if name.startswith("aux_")]
    return cross_entropy(over_positions(outputs["logits"]), targets) + AUXILIARY_WEIGHT * sum(side)


def last_features(outputs: dict[str, jax.Array]) -> Float[Array, "B F"]:
    """Return the features from which a network's last layer makes its logits, in float32."""
    name = next((name for name in ("fc7", "pool", "pool5") if name in outputs), None)
    if name is None:
        raise ValueError(f"--mode=embed: this network has no features of the whole image among {', '.join(outputs)}")
    return over_positions(outputs[name]).astype(jnp.float32)


def accuracy(logits: Float[Array, "B K"], labels: Int[Array, " B"]) -> Float[Array, ""]:
    """Return the fraction of rows whose largest logit is the label's."""
    return jnp.mean((jnp.argmax(logits, axis=-1) == labels).astype(jnp.float32))


def over_positions(logits: Float[Array, "..."]) -> Float[Array, "B K"]:
    """Average a class map [B, h, w, K] over its positions; return logits [B, K] as they are."""
    return jnp.mean(logits, axis=(1, 2)) if logits.ndim == 4 else logits
