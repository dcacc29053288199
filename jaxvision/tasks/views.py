"""Two views of each image, and what an encoder sees in the image itself: for tasks that learn without labels."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from jaxvision.ops.augment import Augmentation
from jaxvision.ops.images import Color, normalise, standardise
from jaxvision.train.steps import example_keys
from jaxvision.train.types import Batch, TrainState


def two_views(
    state: TrainState,
    images: UInt8[Array, "B H W 3"],
    augment: Augmentation,
    mean: Color,
    std: Color,
    axis_name: str | None,
) -> Float[Array, "V h w 3"]:
    """Normalised views, drawn anew in each step: the first ones of all B images, then the second ones.

    What is drawn for an image belongs to its row of the global batch, however many devices share it.
    """
    keys = jax.vmap(jax.random.split)(example_keys(state, images.shape[0], axis_name))
    pixels = images.astype(jnp.float32) / 255.0
    views = augment(jnp.concatenate([keys[:, 0], keys[:, 1]]), jnp.concatenate([pixels, pixels]))
    return standardise(255.0 * views, mean, std)


def features(model: nn.Module, state: TrainState, batch: Batch, mean: Color, std: Color) -> dict[str, jax.Array]:
    """ "features" [B, D]: the map "pool" of the whole image, in evaluation mode."""
    variables = {"params": state.params, **state.model_state}
    outputs: Any = model.apply(variables, normalise(batch["image"], mean, std), train=False)
    return {"features": outputs["pool"].astype(jnp.float32)}
