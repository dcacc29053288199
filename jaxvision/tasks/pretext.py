"""Pretext tasks that are classification: a network answers questions about an image itself (`tasks.questions`).

Batches hold "image" (uint8 RGB [B, H, W, 3]), without labels. For evaluation they may have "seed" (uint32 [B], see
`data.seeds`), which draws the questions.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, UInt8

from jaxvision.losses.classification import cross_entropy, soft_targets
from jaxvision.ops.images import Color, normalise, unit
from jaxvision.tasks import one_network
from jaxvision.tasks.encoder import encoder_variables, pool
from jaxvision.tasks.questions import Ask, Questions
from jaxvision.train.steps import example_keys
from jaxvision.train.types import Batch, Key, Metrics, Task, TrainState

CONTRAST = 64.0  # grey levels for a standard deviation, in pictures of normalised pieces


def pretext(
    model: nn.Module,
    tx: optax.GradientTransformationExtraArgs,
    ask: Ask,
    *,
    mean: Color,
    std: Color,
    contrast: float = CONTRAST,
) -> Task:
    """Make the task of answering questions about images.

    Args:
        model: (pieces [B, N, h, w, 3], *, train) -> {"logits": [B, K]}, with a field `encoder`.
        tx: the optimizer.
        ask: makes the questions, Q for each image.
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.
        contrast: grey levels in pictures of pieces for a difference of 1.

    Returns:
        The task. Metrics are "loss" and "accuracy". `predict` returns "features" [B, D], the encoder's "pool" of the
        whole image; where the batch has "seed", also "probabilities" [B, Q, K], "answers" [B, Q], "pretext_accuracy"
        [B] and "pieces" uint8 [B, Q, N, h, w, 3], the pieces that the network is given.
    """

    def init(key: Key, batch: Batch) -> TrainState:
        questions = ask(jax.random.split(key, len(batch["image"])), unit(batch["image"]))
        return one_network.start(model, tx, key, _pieces(questions))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        questions = ask(example_keys(state, len(batch["image"]), axis_name), unit(batch["image"]))
        answers = questions.answers.reshape(-1)

        def loss_and_accuracy(outputs: Any) -> tuple[jax.Array, Metrics]:
            logits = outputs["logits"]
            correct = jnp.mean((jnp.argmax(logits, axis=-1) == answers).astype(jnp.float32))
            return cross_entropy(logits, soft_targets(answers, logits.shape[-1])), {"accuracy": correct}

        return one_network.train(model, tx, state, _pieces(questions), loss_and_accuracy, axis_name=axis_name)

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        outputs = {"features": pool(model.encoder, encoder_variables(state), normalise(batch["image"], mean, std))}
        if "seed" not in batch:
            return outputs
        questions = ask(jax.vmap(jax.random.PRNGKey)(batch["seed"]), unit(batch["image"]))
        logits = one_network.evaluate(model, state, _pieces(questions))["logits"]
        probabilities = jax.nn.softmax(logits.astype(jnp.float32))
        probabilities = probabilities.reshape(*questions.answers.shape, -1)
        correct = jnp.argmax(probabilities, axis=-1) == questions.answers
        outputs |= {
            "probabilities": probabilities,
            "answers": questions.answers,
            "pieces": shown(questions.pieces, contrast),
        }
        return {**outputs, "pretext_accuracy": jnp.mean(correct.astype(jnp.float32), axis=1)}

    def see(state: TrainState, batch: Batch) -> UInt8[Array, "B V h w 3"]:
        pieces = shown(ask(example_keys(state, len(batch["image"]), None), unit(batch["image"])).pieces, contrast)
        return pieces.reshape(len(pieces), -1, *pieces.shape[3:])

    return Task(init, step, predict, see)


def shown(pieces: Float[Array, "*b"], contrast: float = CONTRAST) -> UInt8[Array, "*b"]:
    """Turn normalised values into grey levels: 0 is mid-grey, two standard deviations are black and white."""
    return jnp.clip(jnp.round(127.5 + contrast * pieces), 0, 255).astype(jnp.uint8)


def _pieces(questions: Questions) -> Float[Array, "R N h w 3"]:
    """Return the pieces of each question as a row of its own."""
    pieces = questions.pieces
    return pieces.reshape(-1, *pieces.shape[2:])
