"""Pretext tasks that are classification: an image asks questions about itself (`tasks.questions`), without labels."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, UInt8

from jaxvision.losses.classification import cross_entropy, soft_targets
from jaxvision.ops.images import Color, normalise
from jaxvision.tasks.questions import Ask, Questions
from jaxvision.train.steps import descend, example_keys, init_state
from jaxvision.train.types import Batch, Key, Metrics, Task, TrainState

_CONTRAST = 64.0  # grey levels a standard deviation, in pictures of normalised pieces


def pretext(model: nn.Module, tx: optax.GradientTransformationExtraArgs, ask: Ask, *, mean: Color, std: Color) -> Task:
    """Learn to answer what `ask` asks of `batch["image"]` (uint8 RGB).

    `model` is `(pieces [B, N, h, w, 3], *, train) -> {"logits": [B, K]}` with a field `encoder`. `predict` returns
    `features` [B, D], the encoder's "pool" of the whole image, normalised with `mean` and `std`. Where the batch has
    "seed" (uint32 [B], see `data.seeds`) it also asks each image the questions that its seed draws, and returns
    `probabilities` [B, Q, K], `answers` [B, Q], `pretext_accuracy` [B] and `pieces` uint8 [B, Q, N, h, w, 3]: what the
    network saw.
    """

    def init(key: Key, batch: Batch) -> TrainState:
        questions = ask(jax.random.split(key, len(batch["image"])), unit(batch["image"]))
        variables = model.init(key, _pieces(questions), train=True)
        return init_state(key, variables, tx.init(variables["params"]))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        questions = ask(example_keys(state, len(batch["image"]), axis_name), unit(batch["image"]))
        answers = questions.answers.reshape(-1)

        def loss_fn(params: Any) -> tuple[jax.Array, tuple[Any, jax.Array]]:
            variables = {"params": params, **state.model_state}
            outputs, stats = model.apply(variables, _pieces(questions), train=True, mutable=list(state.model_state))
            logits = outputs["logits"]
            right = jnp.mean((jnp.argmax(logits, axis=-1) == answers).astype(jnp.float32))
            return cross_entropy(logits, soft_targets(answers, logits.shape[-1])), (stats, right)

        params, opt_state, loss, (stats, right) = descend(
            loss_fn, state.params, state.opt_state, tx, axis_name=axis_name
        )
        new = TrainState(state.step + 1, params, opt_state, stats, state.aux, state.key)
        return new, {"loss": loss, "accuracy": right}

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        outputs = {"features": features(model, state, normalise(batch["image"], mean, std))}
        if "seed" not in batch:
            return outputs
        questions = ask(jax.vmap(jax.random.PRNGKey)(batch["seed"]), unit(batch["image"]))
        said: Any = model.apply({"params": state.params, **state.model_state}, _pieces(questions), train=False)
        probabilities = jax.nn.softmax(said["logits"].astype(jnp.float32))
        probabilities = probabilities.reshape(*questions.answers.shape, -1)
        right = jnp.argmax(probabilities, axis=-1) == questions.answers
        outputs |= {"probabilities": probabilities, "answers": questions.answers, "pieces": shown(questions.pieces)}
        return {**outputs, "pretext_accuracy": jnp.mean(right.astype(jnp.float32), axis=1)}

    return Task(init, step, predict)


def features(model: nn.Module, state: TrainState, images: Float[Array, "B H W 3"]) -> Float[Array, "B D"]:
    """ "pool" of `model.encoder` in evaluation mode, from its parameters and statistics under "encoder"."""
    collections = {name: tree["encoder"] for name, tree in state.model_state.items() if "encoder" in tree}
    encoder: Any = model.encoder
    return encoder.apply({"params": state.params["encoder"], **collections}, images, train=False)["pool"]


def unit(images: UInt8[Array, "B H W 3"]) -> Float[Array, "B H W 3"]:
    """uint8 as 0..1."""
    return images.astype(jnp.float32) / 255.0


def shown(pieces: Float[Array, "*b"]) -> UInt8[Array, "*b"]:
    """Normalised values as grey levels: 0 in the middle, two standard deviations to black and to white."""
    return jnp.clip(jnp.round(127.5 + _CONTRAST * pieces), 0, 255).astype(jnp.uint8)


def _pieces(questions: Questions) -> Float[Array, "R N h w 3"]:
    """Every question as a row."""
    pieces = questions.pieces
    return pieces.reshape(-1, *pieces.shape[2:])
