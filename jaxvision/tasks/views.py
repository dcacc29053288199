"""Two views of each image, and the features of the image itself, for tasks that learn without labels."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from jaxvision.ops.augment import Augmentation
from jaxvision.ops.images import Color, from_unit, normalise, standardise, unit
from jaxvision.tasks.encoder import pool
from jaxvision.train.steps import example_keys
from jaxvision.train.types import Batch, TrainState


def two_views(
    state: TrainState,
    images: UInt8[Array, "B H W 3"],
    augment: Augmentation,
    mean: Color,
    std: Color,
    axis_name: str | None,
    second: UInt8[Array, "B H W 3"] | None = None,
) -> Float[Array, "V h w 3"]:
    """Draw two views of each image, new ones in each step.

    The draws of an image belong to its row of the global batch, however many devices share it.

    Args:
        state: the state before the step, whose key and step the draws come from.
        images: this device's rows.
        augment: draws a view.
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.
        axis_name: axis of the devices that share the batch, if there are several.
        second: what the second views are drawn from, where reading has cut two parts out of each photograph
            (`data.crops.two_crops`); None: the images as well.

    Returns:
        Normalised views, V = 2B: the first ones of all images, then the second ones.
    """
    return standardise(255.0 * _drawn(state, images, augment, axis_name, second), mean, std)


def see_views(state: TrainState, batch: Batch, augment: Augmentation) -> UInt8[Array, "B 2 h w 3"]:
    """Draw the two views of each image that `two_views` draws on one device, as pixels.

    Args:
        state: the state before the step, whose key and step the draws come from.
        batch: with "image", and perhaps "second", see `two_views`.
        augment: draws a view.
    """
    views = _drawn(state, batch["image"], augment, None, batch.get("second"))
    pixels = from_unit(views)
    return jnp.moveaxis(pixels.reshape(2, -1, *pixels.shape[1:]), 0, 1)


def _drawn(
    state: TrainState,
    images: UInt8[Array, "B H W 3"],
    augment: Augmentation,
    axis_name: str | None,
    second: UInt8[Array, "B H W 3"] | None = None,
) -> Float[Array, "V h w 3"]:
    """Draw views in 0..1: the first ones of all images, then the second ones."""
    keys = jax.vmap(jax.random.split)(example_keys(state, images.shape[0], axis_name))
    pixels = unit(jnp.concatenate([images, images if second is None else second]))
    return augment(jnp.concatenate([keys[:, 0], keys[:, 1]]), pixels)


def features(model: nn.Module, state: TrainState, batch: Batch, mean: Color, std: Color) -> dict[str, jax.Array]:
    """Compute the features of whole images in evaluation mode.

    Args:
        model: (images, *, train) -> {"pool": [B, D], …}.
        state: with the model's variables.
        batch: with "image".
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.

    Returns:
        "features" [B, D].
    """
    variables = {"params": state.params, **state.model_state}
    return {"features": pool(model, variables, normalise(batch["image"], mean, std))}
