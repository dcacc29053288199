"""Colourisation (Zhang, Isola & Efros 2016): from lightness to colour, as a distribution over bins at every place."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxvision.losses.colorization import annealed_mean, color_loss, soft_encode
from jaxvision.ops.images import Color, normalise, standardise
from jaxvision.ops.lab import grey, to_lab, to_rgb
from jaxvision.tasks.pretext import features, unit
from jaxvision.train.steps import descend, init_state
from jaxvision.train.types import Batch, Key, Metrics, Task, TrainState

_REACH = 150.0  # distances in ab up to which the area under the curve is taken


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
    """Learn the colours of `batch["image"]` (uint8 RGB) from its lightness.

    `model` is `(images, *, train) -> {"logits": [B, h, w, Q]}` with a field `encoder`; it is given the image without
    colour as three equal channels, normalised. A target is the mean colour of what a place covers. `weights` of the
    `bins` rebalance the loss (`losses.colorization.rebalancing`).

    `predict` returns `features` [B, D] of the encoder, and of each image `colored` (uint8, its lightness with the
    annealed mean of the colours), `ab_error` [B], the mean distance of colours in ab, `ab_error_grey` [B], the same
    had it no colour, and `auc` [B]: the area under the share of pixels within a distance, from 0 to 150 (section 3.1).
    """
    points = jnp.asarray(bins)

    def see(batch: Batch) -> Float[Array, "B H W 3"]:
        return standardise(255 * grey(unit(batch["image"])), mean, std)

    def init(key: Key, batch: Batch) -> TrainState:
        variables = model.init(key, see(batch), train=True)
        return init_state(key, variables, tx.init(variables["params"]))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        colors, images = to_lab(unit(batch["image"]))[..., 1:], see(batch)

        def loss_fn(params: Any) -> tuple[jax.Array, tuple[Any, dict[str, jax.Array]]]:
            variables = {"params": params, **state.model_state}
            outputs, stats = model.apply(variables, images, train=True, mutable=list(state.model_state))
            logits = outputs["logits"]
            targets = soft_encode(covered(colors, logits.shape[1:3]), points)
            right = jnp.mean((jnp.argmax(logits, axis=-1) == jnp.argmax(targets, axis=-1)).astype(jnp.float32))
            return color_loss(logits, targets, weights), (stats, {"accuracy": right})

        params, opt_state, loss, (stats, metrics) = descend(
            loss_fn, state.params, state.opt_state, tx, axis_name=axis_name
        )
        new = TrainState(state.step + 1, params, opt_state, stats, state.aux, state.key)
        return new, {"loss": loss, **metrics}

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        outputs: Any = model.apply({"params": state.params, **state.model_state}, see(batch), train=False)
        lab = to_lab(unit(batch["image"]))
        colors = annealed_mean(outputs["logits"], points, temperature)
        colors = jax.image.resize(colors, (*lab.shape[:3], 2), "bilinear", antialias=False)
        colored = to_rgb(jnp.concatenate([lab[..., :1], colors], axis=-1))
        return {
            "features": features(model, state, normalise(batch["image"], mean, std)),
            "colored": jnp.round(255 * colored).astype(jnp.uint8),
            **_errors(colors, lab[..., 1:]),
        }

    return Task(init, step, predict)


def covered(values: Float[Array, "B H W C"], size: tuple[int, ...]) -> Float[Array, "B h w C"]:
    """Means over the cells of a grid of `size` (rows, columns), which must divide the image."""
    batch, height, width, channels = values.shape
    rows, columns = size
    return values.reshape(batch, rows, height // rows, columns, width // columns, channels).mean((2, 4))


def _errors(colors: Float[Array, "B H W 2"], truth: Float[Array, "B H W 2"]) -> dict[str, Float[Array, " B"]]:
    distance = jnp.sqrt(jnp.sum(jnp.square(colors - truth), axis=-1))
    within = 1.0 - jnp.minimum(distance, _REACH) / _REACH  # integrated over thresholds, pixel by pixel
    chroma = jnp.sqrt(jnp.sum(jnp.square(truth), axis=-1))
    values = {"ab_error": distance, "ab_error_grey": chroma, "auc": within}
    return {name: each.mean((1, 2)) for name, each in values.items()}
