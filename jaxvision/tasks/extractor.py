"""Frozen networks by whose features generated images are judged."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.ops.images import Color, normalise
from jaxvision.train.types import Batch, Key, PyTree, TrainState


class Extractor(NamedTuple):
    """A network as functions of images: float [B, H, W, 3], whole numbers 0..255, as if read from a file."""

    init: Callable[[Key, jax.Array], PyTree]  # (key, images) -> variables, to be replaced by trained ones
    apply: Callable[[PyTree, jax.Array], dict[str, jax.Array]]  # -> "features" [B, F], perhaps "probabilities" [B, K]


def classifier(model: nn.Module, mean: Color, std: Color, layer: str = "pool") -> Extractor:
    """Make an extractor of a classifier, or of a network without classes.

    Args:
        model: (images, *, train) -> {"logits", …}; a network without classes has no "logits".
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.
        layer: name of the map that gives the features, flattened.

    Returns:
        An extractor, whose probabilities are the classifier's softmax; there are none without logits.
    """

    def scaled(images: Float[Array, "B H W 3"]) -> Float[Array, "B H W 3"]:
        return normalise(images.astype(jnp.uint8), mean, std)  # exact: the numbers are whole

    def init(key: Key, images: jax.Array) -> PyTree:
        return model.init(key, scaled(images), train=False)

    def apply(variables: PyTree, images: jax.Array) -> dict[str, jax.Array]:
        outputs: Any = model.apply(variables, scaled(images), train=False)
        features = outputs[layer].reshape(len(images), -1).astype(jnp.float32)
        if "logits" not in outputs:
            return {"features": features}
        return {"features": features, "probabilities": jax.nn.softmax(outputs["logits"].astype(jnp.float32))}

    return Extractor(init, apply)


def judge(extract: Extractor, variables: PyTree, samples: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Judge generated images.

    Args:
        extract: the network.
        variables: its variables.
        samples: generated images, uint8.
        batch: perhaps with "image", real ones.

    Returns:
        "features" and perhaps "probabilities" of the samples, and "real_features" where there are real images.
    """
    outputs = dict(extract.apply(variables, samples.astype(jnp.float32)))
    if "image" in batch:
        outputs["real_features"] = extract.apply(variables, batch["image"].astype(jnp.float32))["features"]
    return outputs


def judged_by(state: TrainState, variables: PyTree) -> TrainState:
    """Put a trained extractor into a GAN's state, as the `warm_start` of a stage after a classifier's does."""
    return dataclasses.replace(state, aux={**state.aux, "extractor": variables})
