"""Image classification: softmax cross entropy on any model that returns `logits`."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxvision.losses.classification import cross_entropy, mixup, soft_targets
from jaxvision.ops.images import Color, normalise
from jaxvision.ops.views import Views, mean_probabilities, whole
from jaxvision.train.steps import descend, ema, init_state, step_key
from jaxvision.train.types import Batch, Key, Metrics, Task, TrainState

AUXILIARY_WEIGHT = 0.3  # of GoogLeNet's side classifiers (Szegedy et al. 2015, section 5)


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
    """Learn `batch["label"]` (int [B]) from `batch["image"]` (uint8 RGB, normalised here).

    A convolutional head's logits [B, h, w, K] are averaged over positions (Simonyan & Zisserman 2015, section 3.2).

    With `average_decay` > 0, `predict` uses the moving average of the parameters (Polyak), kept in `aux`.
    `predict` returns `probabilities` [B, K], the mean softmax over the test `views`.
    """

    def init(key: Key, batch: Batch) -> TrainState:
        variables = model.init({"params": key, "dropout": key}, normalise(batch["image"], mean, std), train=True)
        aux = {"average": variables["params"]} if average_decay else {}
        return init_state(key, variables, tx.init(variables["params"]), aux)

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        mix_key, dropout_key = jax.random.split(step_key(state, axis_name))
        images = normalise(batch["image"], mean, std)
        targets = soft_targets(batch["label"], model.num_classes, label_smoothing)
        if mixup_alpha:
            images, targets = mixup(mix_key, images, targets, mixup_alpha)

        def loss_fn(params: Any) -> tuple[jax.Array, tuple[Any, jax.Array]]:
            outputs, model_state = model.apply(
                {"params": params, **state.model_state},
                images,
                train=True,
                rngs={"dropout": dropout_key},
                mutable=list(state.model_state),
            )
            return loss_of(outputs, targets), (model_state, accuracy(over_positions(outputs["logits"]), batch["label"]))

        params, opt_state, loss, (model_state, correct) = descend(
            loss_fn, state.params, state.opt_state, tx, axis_name=axis_name
        )
        aux = {"average": ema(state.aux["average"], params, average_decay)} if average_decay else {}
        new = TrainState(state.step + 1, params, opt_state, model_state, aux, state.key)
        return new, {"loss": loss, "accuracy": correct}

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        params = state.aux["average"] if average_decay else state.params
        variables = {"params": params, **state.model_state}
        looks = views(normalise(batch["image"], mean, std))
        outputs: list[Any] = [model.apply(variables, look, train=False) for look in looks]
        return {"probabilities": mean_probabilities([over_positions(o["logits"]) for o in outputs])}

    return Task(init, step, predict)


def loss_of(outputs: dict[str, jax.Array], targets: Float[Array, "B K"]) -> Float[Array, ""]:
    """Cross entropy of the logits, and of the side classifiers (`aux_…`) at their weight."""
    side = [cross_entropy(x, targets) for name, x in outputs.items() if name.startswith("aux_")]
    return cross_entropy(over_positions(outputs["logits"]), targets) + AUXILIARY_WEIGHT * sum(side)


def accuracy(logits: Float[Array, "B K"], labels: Int[Array, " B"]) -> Float[Array, ""]:
    """The fraction whose largest logit is the label's."""
    return jnp.mean((jnp.argmax(logits, axis=-1) == labels).astype(jnp.float32))


def over_positions(logits: Float[Array, "..."]) -> Float[Array, "B K"]:
    """A class map [B, h, w, K] averaged over its positions; logits [B, K] as they are."""
    return jnp.mean(logits, axis=(1, 2)) if logits.ndim == 4 else logits
