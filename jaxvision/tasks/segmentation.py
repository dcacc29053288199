"""Semantic segmentation: softmax cross entropy at every pixel, on any model that returns `logits` [B, H, W, K]."""

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
from jaxvision.train.steps import descend, init_state, step_key
from jaxvision.train.types import Batch, Key, Metrics, Task, TrainState

IGNORED = 255
"""The label of pixels that count for nothing."""


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
    """Learn `batch["label_map"]` (uint8 [B, H, W], 255 is not counted) from `batch["image"]` (uint8 RGB).

    Pixels are weighted by `batch["weight_map"]` [B, H, W] where there is one and by their class's weight; see
    `pixel_cross_entropy` for what the loss is divided by. Side outputs (`aux_…`) count `aux_weight` each. A model
    without padding, whose logits are smaller than the image, learns the centre of the label map.

    `predict` returns `classes` uint8 [B, H, W] and `confidence` float16 [B, H, W], the probability of that class, seen
    with `look`. ValueError: class weights that are not one a class; a prediction smaller than the image.
    """
    _check_classes(model.num_classes, class_weights)
    weights = None if class_weights is None else jnp.array(class_weights, jnp.float32)
    entropy = partial(pixel_cross_entropy, class_weights=weights, ignore=IGNORED, normalise=normalise)

    def init(key: Key, batch: Batch) -> TrainState:
        images = image_ops.normalise(batch["image"], mean, std)
        variables = model.init({"params": key, "dropout": key}, images, train=True)
        return init_state(key, variables, tx.init(variables["params"]))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        images = image_ops.normalise(batch["image"], mean, std)

        def loss_fn(params: Any) -> tuple[jax.Array, tuple[Any, jax.Array]]:
            outputs, model_state = model.apply(
                {"params": params, **state.model_state},
                images,
                train=True,
                rngs={"dropout": step_key(state, axis_name)},
                mutable=list(state.model_state),
            )
            right = accuracy(outputs["logits"], center(batch["label_map"], outputs["logits"]), axis_name)
            return _loss(partial(entropy, axis_name=axis_name), outputs, batch, aux_weight), (model_state, right)

        params, opt_state, loss, (model_state, right) = descend(
            loss_fn, state.params, state.opt_state, tx, axis_name=axis_name
        )
        new = TrainState(state.step + 1, params, opt_state, model_state, state.aux, state.key)
        return new, {"loss": loss, "accuracy": right}

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        variables = {"params": state.params, **state.model_state}

        def classify(images: Float[Array, "B h w 3"]) -> Float[Array, "B i j K"]:
            outputs: Any = model.apply(variables, images, train=False)
            return outputs["logits"]

        probabilities = look(classify, image_ops.normalise(batch["image"], mean, std))
        _check_size(probabilities.shape[1:3], batch["image"].shape[1:3])
        classes = jnp.argmax(probabilities, axis=-1).astype(jnp.uint8)
        return {"classes": classes, "confidence": jnp.max(probabilities, axis=-1).astype(jnp.float16)}

    return Task(init, step, predict)


def accuracy(
    logits: Float[Array, "B H W K"], labels: Integer[Array, "B H W"], axis_name: str | None = None
) -> Float[Array, ""]:
    """The fraction of counted pixels whose largest logit is the label's; its mean over devices is the whole batch's."""
    counted = labels != IGNORED
    right = counted & (jnp.argmax(logits, axis=-1) == labels)
    return right.sum() / divisor(counted.sum(), axis_name)


def center(maps: Shaped[Array, "B H W"], logits: Float[Array, "B h w K"]) -> Shaped[Array, "B h w"]:
    """The middle of `maps`, as large as `logits`, which convolutions without padding have made smaller."""
    height, width = logits.shape[1:3]
    top, left = (maps.shape[1] - height) // 2, (maps.shape[2] - width) // 2
    return maps[:, top : top + height, left : left + width]


def _loss(
    entropy: Callable[..., jax.Array], outputs: Mapping[str, jax.Array], batch: Batch, aux_weight: float
) -> Float[Array, ""]:
    """The loss of the logits, and those of side outputs at their weight."""

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


def _check_size(found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise ValueError(
            f"segmentation: predicted maps are {found[0]}×{found[1]} for images of {expected[0]}×{expected[1]} px; "
            "predict with looks.sliding, which mirrors the border"
        )
