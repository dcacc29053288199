"""Colourisation (Zhang, Isola & Efros 2016): from lightness to colour, as a distribution over bins at every place.

Batches hold "image" (uint8 RGB [B, H, W, 3]). The network sees it without colour, as three equal channels, normalised.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, UInt8

from jaxvision.losses.colorization import annealed_mean, color_loss, soft_encode
from jaxvision.ops.images import Color, from_unit, normalise, standardise, unit
from jaxvision.ops.lab import grey, to_lab, to_rgb
from jaxvision.tasks import one_network
from jaxvision.tasks.encoder import encoder_variables, pool
from jaxvision.train.types import Batch, Key, Metrics, Task, TrainState

_LARGEST_DISTANCE = 150.0  # in ab; the area under the curve is taken up to it


def colorization(
    model: nn.Module,
    tx: optax.GradientTransformationExtraArgs,
    *,
    mean: Color,
    std: Color,
    bins: Float[np.ndarray, "Q 2"],
    weights: Float[Array, " Q"],
    temperature: float = 0.38,
) -> Task:
    """Make the task of predicting an image's colours from its lightness.

    Args:
        model: (images, *, train) -> {"logits": [B, h, w, Q]}, with a field `encoder`.
        tx: the optimizer.
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.
        bins: colours (a, b) to choose from; a target is the mean colour of the pixels that a place covers.
        weights: factor of each bin in the loss (`losses.colorization.rebalancing`).
        temperature: of the annealed mean by which `predict` chooses a colour.

    Returns:
        The task. Metrics are "loss" and "accuracy", the share of places with the right bin. `predict` returns
        "features" [B, D] of the encoder; "colored" uint8 [B, H, W, 3], the image's lightness with predicted colours;
        "ab_error" [B], the mean distance of colours in ab; "ab_error_grey" [B], that of a prediction without colour;
        "auc" [B], the area under the share of pixels within a distance, from 0 to 150 (section 3.1).
    """
    points = jnp.asarray(bins)

    def colorless(batch: Batch) -> Float[Array, "B H W 3"]:
        return standardise(255 * grey(unit(batch["image"])), mean, std)

    def init(key: Key, batch: Batch) -> TrainState:
        return one_network.start(model, tx, key, colorless(batch))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        colors = to_lab(unit(batch["image"]))[..., 1:]

        def loss_and_accuracy(outputs: Any) -> tuple[jax.Array, Metrics]:
            logits = outputs["logits"]
            targets = soft_encode(covered(colors, logits.shape[1:3]), points)
            correct = jnp.mean((jnp.argmax(logits, axis=-1) == jnp.argmax(targets, axis=-1)).astype(jnp.float32))
            return color_loss(logits, targets, weights), {"accuracy": correct}

        return one_network.train(model, tx, state, colorless(batch), loss_and_accuracy, axis_name=axis_name)

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        outputs = one_network.evaluate(model, state, colorless(batch))
        lab = to_lab(unit(batch["image"]))
        colors = annealed_mean(outputs["logits"], points, temperature)
        colors = jax.image.resize(colors, (*lab.shape[:3], 2), "bilinear", antialias=False)
        colored = to_rgb(jnp.concatenate([lab[..., :1], colors], axis=-1))
        return {
            "features": pool(model.encoder, encoder_variables(state), normalise(batch["image"], mean, std)),
            "colored": from_unit(colored),
            **_errors(colors, lab[..., 1:]),
        }

    def see(state: TrainState, batch: Batch) -> UInt8[Array, "B 1 H W 3"]:
        return without_colors(batch["image"])[:, None]

    return Task(init, step, predict, see)


def without_colors(images: UInt8[Array, "B H W 3"]) -> UInt8[Array, "B H W 3"]:
    """Return pictures of what the network sees of images."""
    return from_unit(grey(unit(images)))


def covered(values: Float[Array, "B H W C"], size: tuple[int, ...]) -> Float[Array, "B h w C"]:
    """Average `values` over the cells of a grid of `size` (rows, columns), which must divide the image."""
    batch, height, width, channels = values.shape
    rows, columns = size
    return values.reshape(batch, rows, height // rows, columns, width // columns, channels).mean((2, 4))


def _errors(colors: Float[Array, "B H W 2"], truth: Float[Array, "B H W 2"]) -> dict[str, Float[Array, " B"]]:
    distance = jnp.sqrt(jnp.sum(jnp.square(colors - truth), axis=-1))
    within = (
        1.0 - jnp.minimum(distance, _LARGEST_DISTANCE) / _LARGEST_DISTANCE
    )  # integrated over thresholds, pixel by pixel
    chroma = jnp.sqrt(jnp.sum(jnp.square(truth), axis=-1))
    values = {"ab_error": distance, "ab_error_grey": chroma, "auc": within}
    return {name: each.mean((1, 2)) for name, each in values.items()}
