"""Frozen networks that generated images are judged by: what they see in a sample, and in a real image."""

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
    """`init(key, images)` gives variables, to be replaced by trained ones; `apply(variables, images)` gives "features"
    [B, F] and "probabilities" [B, K]. Images are float [B, H, W, 3], whole numbers 0..255, as if read from a file.
    """

    init: Callable[[Key, jax.Array], PyTree]
    apply: Callable[[PyTree, jax.Array], dict[str, jax.Array]]


def classifier(model: nn.Module, mean: Color, std: Color, layer: str = "pool") -> Extractor:
    """A classifier's map `layer`, flattened, as features, and its softmax as probabilities."""

    def scaled(images: Float[Array, "B H W 3"]) -> Float[Array, "B H W 3"]:
        return normalise(images.astype(jnp.uint8), mean, std)  # exact: the numbers are whole

    def init(key: Key, images: jax.Array) -> PyTree:
        return model.init(key, scaled(images), train=False)

    def apply(variables: PyTree, images: jax.Array) -> dict[str, jax.Array]:
        outputs: Any = model.apply(variables, scaled(images), train=False)
        features = outputs[layer].reshape(len(images), -1).astype(jnp.float32)
        return {"features": features, "probabilities": jax.nn.softmax(outputs["logits"].astype(jnp.float32))}

    return Extractor(init, apply)


def judge(extract: Extractor, variables: PyTree, samples: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """What is seen in `samples`, uint8, and "real_features" of the batch's images where it has some."""
    found = dict(extract.apply(variables, samples.astype(jnp.float32)))
    if "image" in batch:
        found["real_features"] = extract.apply(variables, batch["image"].astype(jnp.float32))["features"]
    return found


def judged_by(state: TrainState, variables: PyTree) -> TrainState:
    """A GAN's state whose extractor has these variables: for a stage's `warm_start`, after a classifier's stage."""
    return dataclasses.replace(state, aux={**state.aux, "extractor": variables})
