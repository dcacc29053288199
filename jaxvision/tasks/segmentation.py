"""Semantic segmentation: softmax cross entropy at every pixel, on any model that returns "logits" [B, H, W, K].

Batches hold "image" (uint8 RGB [B, H, W, 3], normalised here), "label_map" (uint8 [B, H, W], 255 is not counted), and
perhaps "weight_map" [B, H, W], weights of pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Integer, Shaped

from jaxvision.losses.segmentation import Normalisation, divisor, pixel_cross_entropy
from jaxvision.ops import images as image_ops
from jaxvision.ops.images import Color
from jaxvision.ops.looks import Look, whole
from jaxvision.tasks import one_network
from jaxvision.train.steps import step_key
from jaxvision.train.types import Batch, Key, Metrics, Task, TrainState

IGNORED = 255
"""Label of pixels that are left out of losses and metrics."""


def segmentation(
    model: nn.Module,
    tx: optax.GradientTransformationExtraArgs,
    *,
    mean: Color,
    std: Color,
    class_weights: Sequence[float] | np.ndarray | None = None,
    aux_weight: float = 0.5,
    normalise: Normalisation = "pixels",
    look: Look = whole,
) -> Task:
    """Make the task of naming every pixel.

    A model without padding, whose logits are smaller than the image, learns the centre of the label map.

    Args:
        model: (images, *, train) -> {"logits", …}, with a field `num_classes`; "aux_…" are auxiliary logits.
        tx: the optimizer.
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.
        class_weights: factor of each class's pixels in the loss; None: 1.
        aux_weight: factor of the loss of each auxiliary output.
        normalise: what the loss is divided by, see `losses.segmentation.pixel_cross_entropy`.
        look: how `predict` shows an image to the model, such as whole or tile by tile.

    Returns:
        The task. Metrics are "loss" and "accuracy". `predict` returns "classes" uint8 [B, H, W] and "confidence", the
        probability of that class, float16 [B, H, W]; a prediction smaller than the image raises ValueError.

    Raises:
        ValueError: more than 255 classes, or another number of class weights.
    """
    _check_classes(model.num_classes, class_weights)
    weights = None if class_weights is None else jnp.array(class_weights, jnp.float32)
    entropy = partial(pixel_cross_entropy, class_weights=weights, ignore=IGNORED, normalise=normalise)

    def init(key: Key, batch: Batch) -> TrainState:
        return one_network.start(model, tx, key, image_ops.normalise(batch["image"], mean, std))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        def loss_and_accuracy(outputs: Any) -> tuple[jax.Array, Metrics]:
            correct = accuracy(outputs["logits"], center(batch["label_map"], outputs["logits"]), axis_name)
            return _loss(partial(entropy, axis_name=axis_name), outputs, batch, aux_weight), {"accuracy": correct}

        images, key = image_ops.normalise(batch["image"], mean, std), step_key(state, axis_name)
        return one_network.train(model, tx, state, images, loss_and_accuracy, dropout_key=key, axis_name=axis_name)

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        def classify(images: Float[Array, "B h w 3"]) -> Float[Array, "B i j K"]:
            return one_network.evaluate(model, state, images)["logits"]

        boxes = {"boxes": batch["proposals"], "valid": batch["proposal_valid"]} if "proposals" in batch else {}
        probabilities = look(classify, image_ops.normalise(batch["image"], mean, std), **boxes)
        _check_size(probabilities.shape[1:3], batch["image"].shape[1:3])
        classes = jnp.argmax(probabilities, axis=-1).astype(jnp.uint8)
        return {"classes": classes, "confidence": jnp.max(probabilities, axis=-1).astype(jnp.float16)}

    return Task(init, step, predict)


def accuracy(
    logits: Float[Array, "B H W K"], labels: Integer[Array, "B H W"], axis_name: str | None = None
) -> Float[Array, ""]:
    """Compute the fraction of counted pixels whose largest logit is the label's.

    Args:
        logits: class scores of every pixel.
        labels: class of every pixel; `IGNORED` is not counted.
        axis_name: axis of the devices that share the batch, if there are several.

    Returns:
        This device's part: the mean over the devices is the accuracy of the whole batch.
    """
    counted = labels != IGNORED
    correct = counted & (jnp.argmax(logits, axis=-1) == labels)
    return correct.sum() / divisor(counted.sum(), axis_name)


def center(maps: Shaped[Array, "B H W"], logits: Float[Array, "B h w K"]) -> Shaped[Array, "B h w"]:
    """Crop the middle of `maps` to the size of `logits`, which convolutions without padding have made smaller."""
    height, width = logits.shape[1:3]
    top, left = (maps.shape[1] - height) // 2, (maps.shape[2] - width) // 2
    return maps[:, top : top + height, left : left + width]


def _loss(
    entropy: Callable[..., jax.Array], outputs: Mapping[str, jax.Array], batch: Batch, aux_weight: float
) -> Float[Array, ""]:
    """Compute the loss of the logits, plus that of auxiliary outputs at their weight."""

    def one(logits: Float[Array, "B h w K"]) -> Float[Array, ""]:
        pixels = center(batch["weight_map"], logits) if "weight_map" in batch else None
        return entropy(logits, center(batch["label_map"], logits), pixel_weights=pixels)

    side = [one(logits) for name, logits in outputs.items() if name.startswith("aux_")]
    return one(outputs["logits"]) + aux_weight * sum(side)


def _check_classes(num_classes: int, class_weights: Sequence[float] | np.ndarray | None) -> None:
    if num_classes > IGNORED:
        raise ValueError(f"segmentation: {num_classes} classes; label maps of 8 bits have at most {IGNORED}")
    if class_weights is not None and len(class_weights) != num_classes:
        raise ValueError(f"class_weights: {len(class_weights)} for {num_classes} classes; give one for each")


def _check_size(predicted: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if predicted != expected:
        raise ValueError(
            f"segmentation: predicted maps are {predicted[0]}×{predicted[1]} for images of {expected[0]}×{expected[1]} "
            "px; predict with looks.sliding, which mirrors the border"
        )
