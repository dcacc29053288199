"""What an encoder has learned, put to the test with labels: linear heads on frozen features, or fine-tuning.

The encoder is any module `(images [B, H, W, 3], *, train) -> {"pool": [B, D]}`. Its parameters are under "encoder", as
in the tasks without labels, so that its weights can be put there.
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
from jaxvision.train.steps import descend, init_state
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

FeatureNorm = Literal["none", "batch"]
_DECAY = 0.9  # of the running statistics of features


class Bank(NamedTuple):
    """Features that are kept in the state (`remember`), so that the encoder sees every image once and not each step."""

    rows: int
    subsets: int  # sets of rows that heads learn from, each with heads of its own


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
    """Learn `batch["label"]` from the features of `batch["image"]` (uint8 RGB), with one linear head for each of
    `rates`, which multiply the updates of `tx`; all heads learn side by side, as if each were alone.

    The encoder runs in evaluation mode: neither its parameters nor its statistics change. With `feature_norm` "batch" a
    batch norm without scale and shift is between encoder and head (He et al. 2022, appendix A.1). With a `bank` a
    batch holds "row" int [B, F], rows of the bank for each subset, in the place of images.

    `predict` returns `features` [B, D] and `probabilities` [B, F, L, K] of subset, head and class.
    """
    tx = side_by_side(tx, rates)

    def init(key: Key, batch: Batch) -> TrainState:
        images, subsets = jnp.zeros((1, image_size, image_size, 3)), bank.subsets if bank else 1
        variables = encoder.init(key, images, train=False)
        width = _width(encoder, variables, images)
        collections = _with_head(variables, _head((subsets, len(rates)), width, num_classes))
        if feature_norm == "batch":
            moments = {"mean": jnp.zeros((subsets, width)), "var": jnp.ones((subsets, width))}
            collections.setdefault("batch_stats", {})["head"] = moments
        kept = {"features": jnp.zeros((bank.rows, width)), "labels": jnp.zeros(bank.rows, jnp.int32)} if bank else {}
        return init_state(key, collections, tx.init(collections["params"]["head"]), kept)

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        features, labels = _examples(state, batch)
        stats, scaled = _normalised(state, features, feature_norm)

        def loss_fn(head: Any) -> tuple[jax.Array, tuple[Any, Any, Any]]:
            scores = _scores(head, scaled)
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels[:, :, None]).mean(0)
            right = (scores.argmax(-1) == labels[:, :, None]).astype(jnp.float32).mean(0)
            return losses.sum(), (losses, right, stats)

        head, opt_state, _, (losses, right, stats) = descend(
            loss_fn, state.params["head"], state.opt_state, tx, axis_name=axis_name
        )
        model_state = _with_moments(state.model_state, stats)
        params = {**state.params, "head": head}
        new = TrainState(state.step + 1, params, opt_state, model_state, state.aux, state.key)
        # Of the best head: those whose rate is too high may be anywhere.
        return new, {"loss": jnp.nanmin(losses, axis=1).mean(), "accuracy": right.max(axis=1).mean()}

    def encode(state: TrainState, images: jax.Array) -> Float[Array, "B D"]:
        return _pool(encoder, _of_encoder(state), normalise(images, mean, std))

    def _examples(state: TrainState, batch: Batch) -> tuple[Float[Array, "B F D"], Int[Array, "B F"]]:
        if bank:
            return state.aux["features"][batch["row"]], state.aux["labels"][batch["row"]]
        return encode(state, batch["image"])[:, None], batch["label"][:, None]

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        features = encode(state, batch["image"])
        scaled = jnp.repeat(features[:, None], state.params["head"]["bias"].shape[0], axis=1)
        if feature_norm == "batch":
            scaled = _by_moments(scaled, state.model_state["batch_stats"]["head"])
        return {"features": features, "probabilities": jax.nn.softmax(_scores(state.params["head"], scaled))}

    return Task(init, step, predict)


def finetune(
    encoder: nn.Module, tx: optax.GradientTransformationExtraArgs, num_classes: int, *, mean: Color, std: Color
) -> Task:
    """Learn `batch["label"]` with a linear layer on the encoder's features, and the encoder with it.

    `predict` returns `features` [B, D] and `probabilities` [B, K].
    """

    def init(key: Key, batch: Batch) -> TrainState:
        images = normalise(batch["image"], mean, std)
        variables = encoder.init(key, images, train=True)
        collections = _with_head(variables, _head((), _width(encoder, variables, images), num_classes))
        return init_state(key, collections, tx.init(collections["params"]))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        images, labels = normalise(batch["image"], mean, std), batch["label"]

        def loss_fn(params: Any) -> tuple[jax.Array, tuple[Any, jax.Array]]:
            variables = {**_of_encoder(state), "params": params["encoder"]}
            collections = [name for name in variables if name != "params"]
            outputs, found = encoder.apply(variables, images, train=True, mutable=collections)
            scores = _linear(params["head"], outputs["pool"])
            right = jnp.mean((scores.argmax(-1) == labels).astype(jnp.float32))
            return cross_entropy(scores, soft_targets(labels, num_classes)), (found, right)

        params, opt_state, loss, (found, right) = descend(
            loss_fn, state.params, state.opt_state, tx, axis_name=axis_name
        )
        model_state = {name: {"encoder": tree} for name, tree in found.items()}
        new = TrainState(state.step + 1, params, opt_state, model_state, state.aux, state.key)
        return new, {"loss": loss, "accuracy": right}

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        features = _pool(encoder, _of_encoder(state), normalise(batch["image"], mean, std))
        scores = _linear(state.params["head"], features)
        return {"features": features, "probabilities": jax.nn.softmax(scores.astype(jnp.float32))}

    return Task(init, step, predict)


def side_by_side(
    tx: optax.GradientTransformationExtraArgs, rates: tuple[float, ...]
) -> optax.GradientTransformationExtraArgs:
    """`tx` for each of the heads [F, L, …] as if it were alone, its updates then multiplied by the head's rate.

    Every rule of `train.optim` has updates in proportion to its learning rate, so this is `tx` at L learning rates.
    """

    def update(grads: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        each = jax.vmap(jax.vmap(lambda g, s, p: tx.update(g, s, p, **extra)))
        updates, state = each(grads, state, params)
        scale = jnp.asarray(rates)
        return jax.tree.map(lambda u: u * scale.reshape(1, -1, *(1,) * (u.ndim - 2)), updates), state

    return optax.GradientTransformationExtraArgs(jax.vmap(jax.vmap(tx.init)), update)


def remember(state: TrainState, features: Float[Any, "N D"], labels: Int[Any, " N"]) -> TrainState:
    """The state with its bank filled. ValueError: a bank of another size."""
    kept = {"features": jnp.asarray(features, jnp.float32), "labels": jnp.asarray(labels, jnp.int32)}
    if (found := kept["features"].shape) != (wanted := state.aux["features"].shape):
        raise ValueError(f"remember: features {found} for a bank of {wanted}")
    return dataclasses.replace(state, aux={**state.aux, **kept})


def _head(stack: tuple[int, ...], width: int, num_classes: int) -> dict[str, jax.Array]:
    """A linear layer that says nothing yet; several of them, as `stack` has them."""
    return {"kernel": jnp.zeros((*stack, width, num_classes)), "bias": jnp.zeros((*stack, num_classes))}


def _with_head(variables: PyTree, head: PyTree) -> dict[str, Any]:
    """The collections of an encoder, under "encoder", and beside its parameters the head's."""
    collections: dict[str, Any] = {name: {"encoder": tree} for name, tree in variables.items()}
    return {**collections, "params": {**collections["params"], "head": head}}


def _width(encoder: nn.Module, variables: PyTree, images: jax.Array) -> int:
    """How many features there are, found without computing any."""
    return jax.eval_shape(lambda: _pool(encoder, variables, images)).shape[1]


def _of_encoder(state: TrainState) -> dict[str, Any]:
    """The encoder's variables, and none of the head."""
    collections = {name: tree["encoder"] for name, tree in state.model_state.items() if "encoder" in tree}
    return {"params": state.params["encoder"], **collections}


def _pool(encoder: nn.Module, variables: PyTree, images: Float[Array, "B H W 3"]) -> Float[Array, "B D"]:
    outputs: Any = encoder.apply(variables, images, train=False)
    return outputs["pool"].astype(jnp.float32)


def _with_moments(model_state: PyTree, stats: PyTree) -> PyTree:
    """The model's state with new statistics of the features; the encoder's stay the very same."""
    return {**model_state, "batch_stats": {**model_state["batch_stats"], "head": stats}} if stats else model_state


def _normalised(
    state: TrainState, features: Float[Array, "B F D"], feature_norm: FeatureNorm
) -> tuple[PyTree, Float[Array, "B F D"]]:
    """New running statistics, and the features normalised by those of this batch."""
    if feature_norm == "none":
        return {}, features
    now = {"mean": features.mean(0), "var": features.var(0)}
    running = state.model_state["batch_stats"]["head"]
    return jax.tree.map(lambda r, n: _DECAY * r + (1.0 - _DECAY) * n, running, now), _by_moments(features, now)


def _by_moments(features: Float[Array, "B F D"], moments: PyTree) -> Float[Array, "B F D"]:
    return (features - moments["mean"][None]) * jax.lax.rsqrt(moments["var"][None] + 1e-5)


def _scores(head: PyTree, features: Float[Array, "B F D"]) -> Float[Array, "B F L K"]:
    """Every head's logits of its subset's features."""
    return jax.vmap(jax.vmap(_linear, (0, None), 1), (0, 1), 1)(head, features)


def _linear(head: PyTree, features: Float[Array, "B D"]) -> Float[Array, "B K"]:
    return features @ head["kernel"] + head["bias"][None]
