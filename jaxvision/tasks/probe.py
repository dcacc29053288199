"""Tests of what an encoder has learned, with labels: linear heads on frozen features, or fine-tuning.

The encoder is any module (images [B, H, W, 3], *, train) -> {"pool": [B, D]}. In a state its parameters are under
"encoder", as in the tasks without labels, and the head's under "head". Batches hold "image" (uint8 RGB [B, H, W, 3],
normalised here) and "label" (int [B]).
"""

import dataclasses
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxvision.losses.classification import cross_entropy, soft_targets
from jaxvision.ops.images import Color, normalise
from jaxvision.tasks.encoder import encoder_variables, pool
from jaxvision.train.steps import advance, as_float32, descend, init_state
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

FeatureNorm = Literal["none", "batch"]
_DECAY = 0.9  # share of the running statistics of features that a step keeps


class Bank(NamedTuple):
    """Size of a bank of features in the state (`remember`), by which the encoder sees every image only once."""

    rows: int  # images
    subsets: int  # F, sets of rows that heads learn from, each with heads of its own


def linear_probe(
    encoder: nn.Module,
    tx: optax.GradientTransformationExtraArgs,
    rates: tuple[float, ...],
    num_classes: int,
    *,
    image_size: int,
    mean: Color,
    std: Color,
    feature_norm: FeatureNorm = "none",
    bank: Bank | None = None,
) -> Task:
    """Make the task of learning labels from frozen features, with several linear heads side by side.

    The encoder runs in evaluation mode: neither its parameters nor its statistics change.

    Args:
        encoder: the frozen network.
        tx: the optimizer of each head.
        rates: factors of the updates, one head for each; heads learn as if each were alone.
        num_classes: K.
        image_size: pixels a side, for the first call of the encoder.
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.
        feature_norm: "batch": a batch norm without scale and shift before the head (He et al. 2022, appendix A.1).
        bank: keep features in the state; batches then hold "row" int [B, F], rows of the bank, instead of images.

    Returns:
        The task. Metrics are "loss" and "accuracy" of the best head; `predict` returns "features" [B, D] and
        "probabilities" [B, F, L, K] of subset, head and class.
    """
    task = _LinearProbe(
        encoder, side_by_side(tx, rates), len(rates), num_classes, image_size, mean, std, feature_norm, bank
    )
    return Task(task.init, task.step, task.predict)


@dataclasses.dataclass(frozen=True)
class _LinearProbe:
    """Linear heads on a frozen encoder as a task."""

    encoder: nn.Module
    tx: optax.GradientTransformationExtraArgs
    heads: int  # of each subset
    num_classes: int
    image_size: int
    mean: Color
    std: Color
    feature_norm: FeatureNorm
    bank: Bank | None

    def init(self, key: Key, batch: Batch) -> TrainState:
        images, subsets = jnp.zeros((1, self.image_size, self.image_size, 3)), self.bank.subsets if self.bank else 1
        variables = self.encoder.init(key, images, train=False)
        width = _width(self.encoder, variables, images)
        collections = _with_head(variables, _head((subsets, self.heads), width, self.num_classes))
        if self.feature_norm == "batch":
            moments = {"mean": jnp.zeros((subsets, width)), "var": jnp.ones((subsets, width))}
            collections.setdefault("batch_stats", {})["head"] = moments
        aux = {}
        if self.bank:
            rows = self.bank.rows
            aux = {"features": jnp.zeros((rows, width)), "labels": jnp.zeros(rows, jnp.int32)}
        return init_state(key, collections, self.tx.init(collections["params"]["head"]), aux)

    def step(self, state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        features, labels = self._examples(state, batch)
        stats, scaled = _normalised(state, features, self.feature_norm)

        def loss_fn(head: Any) -> tuple[jax.Array, tuple[Any, Any, Any]]:
            scores = _scores(head, scaled)
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels[:, :, None]).mean(0)
            correct = (scores.argmax(-1) == labels[:, :, None]).astype(jnp.float32).mean(0)
            return losses.sum(), (losses, correct, stats)

        head, opt_state, _, (losses, correct, stats) = descend(
            loss_fn, state.params["head"], state.opt_state, self.tx, axis_name=axis_name
        )
        state = advance(state, {**state.params, "head": head}, opt_state, _with_moments(state.model_state, stats))
        # Of the best head: those whose rate is too high may be anywhere.
        return state, {"loss": jnp.nanmin(losses, axis=1).mean(), "accuracy": correct.max(axis=1).mean()}

    def predict(self, state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        features = self._encode(state, batch["image"])
        scaled = jnp.repeat(features[:, None], state.params["head"]["bias"].shape[0], axis=1)
        if self.feature_norm == "batch":
            scaled = _by_moments(scaled, state.model_state["batch_stats"]["head"])
        return {"features": features, "probabilities": jax.nn.softmax(_scores(state.params["head"], scaled))}

    def _encode(self, state: TrainState, images: jax.Array) -> Float[Array, "B D"]:
        return pool(self.encoder, encoder_variables(state), normalise(images, self.mean, self.std))

    def _examples(self, state: TrainState, batch: Batch) -> tuple[Float[Array, "B F D"], Int[Array, "B F"]]:
        if self.bank:
            return state.aux["features"][batch["row"]], state.aux["labels"][batch["row"]]
        return self._encode(state, batch["image"])[:, None], batch["label"][:, None]


def finetune(
    encoder: nn.Module, tx: optax.GradientTransformationExtraArgs, num_classes: int, *, mean: Color, std: Color
) -> Task:
    """Make the task of learning labels with a linear layer on the encoder's features, and the encoder with it.

    Args:
        encoder: the network, which learns too.
        tx: the optimizer of both.
        num_classes: K.
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.

    Returns:
        The task. Metrics are "loss" and "accuracy"; `predict` returns "features" [B, D] and "probabilities" [B, K].
    """

    def init(key: Key, batch: Batch) -> TrainState:
        images = normalise(batch["image"], mean, std)
        variables = encoder.init(key, images, train=True)
        collections = _with_head(variables, _head((), _width(encoder, variables, images), num_classes))
        return init_state(key, collections, tx.init(collections["params"]))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        images, labels = normalise(batch["image"], mean, std), batch["label"]

        def loss_fn(params: Any) -> tuple[jax.Array, tuple[Any, jax.Array]]:
            variables = {**encoder_variables(state), "params": params["encoder"]}
            collections = [name for name in variables if name != "params"]
            outputs, stats = encoder.apply(variables, images, train=True, mutable=collections)
            scores = _linear(params["head"], as_float32(outputs["pool"]))
            correct = jnp.mean((scores.argmax(-1) == labels).astype(jnp.float32))
            return cross_entropy(scores, soft_targets(labels, num_classes)), (stats, correct)

        params, opt_state, loss, (stats, correct) = descend(
            loss_fn, state.params, state.opt_state, tx, axis_name=axis_name
        )
        model_state = {name: {"encoder": tree} for name, tree in stats.items()}
        return advance(state, params, opt_state, model_state), {"loss": loss, "accuracy": correct}

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        features = pool(encoder, encoder_variables(state), normalise(batch["image"], mean, std))
        scores = _linear(state.params["head"], features)
        return {"features": features, "probabilities": jax.nn.softmax(scores.astype(jnp.float32))}

    return Task(init, step, predict)


def side_by_side(
    tx: optax.GradientTransformationExtraArgs, rates: tuple[float, ...]
) -> optax.GradientTransformationExtraArgs:
    """Apply `tx` to each of the heads [F, L, …] as if it were alone, and multiply its updates by the head's rate.

    Every rule of `train.optim` has updates in proportion to its learning rate, so this is `tx` at L learning rates.
    """

    def update(grads: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        each = jax.vmap(jax.vmap(lambda g, s, p: tx.update(g, s, p, **extra)))
        updates, state = each(grads, state, params)
        scale = jnp.asarray(rates)
        return jax.tree.map(lambda u: u * scale.reshape(1, -1, *(1,) * (u.ndim - 2)), updates), state

    return optax.GradientTransformationExtraArgs(jax.vmap(jax.vmap(tx.init)), update)


def remember(state: TrainState, features: Float[Any, "N D"], labels: Int[Any, " N"]) -> TrainState:
    """Fill the bank of a state.

    Args:
        state: a state of `linear_probe` with a bank.
        features: of every image.
        labels: of every image.

    Returns:
        The state with both in it.

    Raises:
        ValueError: the bank has another size.
    """
    bank = {"features": jnp.asarray(features, jnp.float32), "labels": jnp.asarray(labels, jnp.int32)}
    if (shape := bank["features"].shape) != (expected := state.aux["features"].shape):
        raise ValueError(f"remember: features {shape} for a bank of {expected}")
    return dataclasses.replace(state, aux={**state.aux, **bank})


def _head(stack: tuple[int, ...], width: int, num_classes: int) -> dict[str, jax.Array]:
    """Return a linear layer of zeros, or a stack of them with the leading dimensions `stack`."""
    return {"kernel": jnp.zeros((*stack, width, num_classes)), "bias": jnp.zeros((*stack, num_classes))}


def _with_head(variables: PyTree, head: PyTree) -> dict[str, Any]:
    """Put the collections of an encoder under "encoder", and the head's parameters beside its own."""
    collections: dict[str, Any] = {name: {"encoder": tree} for name, tree in variables.items()}
    return {**collections, "params": {**collections["params"], "head": head}}


def _width(encoder: nn.Module, variables: PyTree, images: jax.Array) -> int:
    """Count the features by shapes alone."""
    return jax.eval_shape(lambda: pool(encoder, variables, images)).shape[1]


def _with_moments(model_state: PyTree, stats: PyTree) -> PyTree:
    """Replace the statistics of the features in the model's state; the encoder's stay the same."""
    return {**model_state, "batch_stats": {**model_state["batch_stats"], "head": stats}} if stats else model_state


def _normalised(
    state: TrainState, features: Float[Array, "B F D"], feature_norm: FeatureNorm
) -> tuple[PyTree, Float[Array, "B F D"]]:
    """Return new running statistics, and the features normalised by those of this batch."""
    if feature_norm == "none":
        return {}, features
    now = {"mean": features.mean(0), "var": features.var(0)}
    running = state.model_state["batch_stats"]["head"]
    return jax.tree.map(lambda r, n: _DECAY * r + (1.0 - _DECAY) * n, running, now), _by_moments(features, now)


def _by_moments(features: Float[Array, "B F D"], moments: PyTree) -> Float[Array, "B F D"]:
    return (features - moments["mean"][None]) * jax.lax.rsqrt(moments["var"][None] + 1e-5)


def _scores(head: PyTree, features: Float[Array, "B F D"]) -> Float[Array, "B F L K"]:
    """Compute every head's logits from its subset's features."""
    return jax.vmap(jax.vmap(_linear, (0, None), 1), (0, 1), 1)(head, features)


def _linear(head: PyTree, features: Float[Array, "B D"]) -> Float[Array, "B K"]:
    return features @ head["kernel"] + head["bias"][None]
