"""A GAN's two turns: one step of the discriminator, one of the generator (and encoder), each against the other's last.

Networks go by name, as their parameters do in the state: "generator", "discriminator" and perhaps "encoder".
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, UInt32

from jaxvision.losses.gan import Objective, discriminator_loss, generator_loss, gradient_penalty
from jaxvision.tasks.collapse import diversity
from jaxvision.tasks.extractor import Extractor
from jaxvision.train.steps import descend
from jaxvision.train.types import PyTree, TrainState

SampleNorm = Literal["running", "batch", "standing"]
"""Which batch statistics the averaged generator samples with; see `gan`."""


class Game(NamedTuple):
    """Who plays, and by which rules: `gan`'s arguments."""

    networks: dict[str, nn.Module]
    txs: dict[str, optax.GradientTransformationExtraArgs]
    draw: Callable[[jax.Array], jax.Array]  # keys [B, 2] -> latents [B, Z]
    objective: Objective
    discriminator_steps: int
    smooth: float
    penalty: float
    average_decay: float
    conditional: bool
    extract: Extractor | None
    sample_norm: SampleNorm

    @property
    def joint(self) -> bool:
        return "encoder" in self.networks


class Rows(NamedTuple):
    """The examples of one discriminator step and the generator step that may follow it."""

    images: Float[Array, "B ..."]
    labels: Int[Array, " B"] | None
    z: Float[Array, "B Z"]  # of the fakes that the discriminator learns from
    fresh: Float[Array, "B Z"]  # of those that the generator learns from
    keys: UInt32[Array, "B 2"]


def discriminator_step(
    game: Game, state: TrainState, rows: Rows, axis_name: str | None
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One update against fakes of `rows.z`, which carry no gradient. Metrics: loss, accuracies, penalty, gradient norm.

    Real rows come first and then fake ones, each normalised by their own batch statistics; the running statistics take
    in both, and those of the generator and encoder stay as they are.
    """
    name = "discriminator"
    fake = train(game, state, "generator", rows.z, rows.labels)[0]["image"]
    codes = train(game, state, "encoder", rows.images)[0]["z"] if game.joint else None

    def loss_fn(params: PyTree) -> tuple[jax.Array, tuple[PyTree, dict[str, jax.Array]]]:
        now = replaced(state, "params", {name: params})
        real, stats = train(game, now, name, rows.images, rows.labels, codes)
        now = replaced(now, "model_state", {name: stats})
        judged, stats = train(game, now, name, fake, rows.labels, rows.z if game.joint else None)
        metrics = _discriminator_metrics(game, real["logits"], judged["logits"])
        if game.penalty:
            metrics["penalty"] = _gradient_penalty(game, params, rows, fake)
        return metrics["loss_discriminator"] + game.penalty * metrics.get("penalty", 0.0), (stats, metrics)

    params, opt_state, _, (stats, metrics) = descend(
        loss_fn, state.params[name], state.opt_state[name], game.txs[name], axis_name=axis_name
    )
    state = replaced(state, "params", {name: params})
    state = replaced(replaced(state, "opt_state", {name: opt_state}), "model_state", {name: stats})
    return state, {**metrics, **_gradient_norms(state, [name])}


def _discriminator_metrics(
    game: Game, real: Float[Array, " B"], fake: Float[Array, " B"]
) -> dict[str, Float[Array, ""]]:
    """The loss, and the shares of real and of fake rows on their side of the boundary.

    A Wasserstein critic has no boundary: its scores mean something only beside each other.
    """
    boundary = 0.5 if game.objective == "least_squares" else 0.0
    return {
        "loss_discriminator": discriminator_loss(game.objective, real, fake, game.smooth),
        "real_accuracy": jnp.mean((real > boundary).astype(jnp.float32)),
        "fake_accuracy": jnp.mean((fake < boundary).astype(jnp.float32)),
    }


def _gradient_penalty(game: Game, params: PyTree, rows: Rows, fake: Float[Array, "B ..."]) -> Float[Array, ""]:
    """The mean penalty of the rows, each between its real and its fake image at a place drawn from its own key."""

    def one(real: jax.Array, fake: jax.Array, label: jax.Array | None, key: jax.Array) -> jax.Array:
        def critic(images: jax.Array) -> jax.Array:
            labels = None if label is None else label[None]
            outputs: Any = game.networks["discriminator"].apply({"params": params}, images, labels, train=True)
            return outputs["logits"]

        return gradient_penalty(critic, real[None], fake[None], key)

    return jnp.mean(jax.vmap(one)(rows.images, fake, rows.labels, rows.keys))


def generator_step(
    game: Game, state: TrainState, rows: Rows, axis_name: str | None
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One update of the generator on `rows.fresh`, and of the encoder on the real images, each by its own optimizer.

    The discriminator is held still; the batch statistics that it would gather here are let go.
    """
    names = [name for name in game.networks if name != "discriminator"]

    def loss_fn(params: PyTree) -> tuple[jax.Array, tuple[PyTree, dict[str, jax.Array]]]:
        now = replaced(state, "params", params)
        made, stats = train(game, now, "generator", rows.fresh, rows.labels)
        z = rows.fresh if game.joint else None
        judged, _ = train(game, now, "discriminator", made["image"], rows.labels, z)
        losses, stats = {"loss_generator": generator_loss(game.objective, judged["logits"])}, {"generator": stats}
        if game.joint:
            code, stats["encoder"] = train(game, now, "encoder", rows.images)
            judged, _ = train(game, now, "discriminator", rows.images, rows.labels, code["z"])
            losses["loss_encoder"] = generator_loss(game.objective, _as_fake(game.objective, judged["logits"]))
        spread = diversity(made["image"], rows.images, axis_name)
        return sum(losses.values(), jnp.zeros(())), (stats, {**losses, "diversity": spread})

    params, opt_state, _, (stats, metrics) = descend(
        loss_fn,
        {name: state.params[name] for name in names},
        {name: state.opt_state[name] for name in names},
        _separately({name: game.txs[name] for name in names}),
        axis_name=axis_name,
    )
    state = replaced(replaced(replaced(state, "params", params), "opt_state", opt_state), "model_state", stats)
    return state, {**metrics, **_gradient_norms(state, names)}


def _as_fake(objective: Objective, logits: Float[Array, " B"]) -> Float[Array, " B"]:
    """Scores of pairs (x, E(x)), which the encoder wants to be taken for fake, as the generator's loss is to see them.

    Real and fake change places: logits change sign, and least squares' targets 1 and 0 change into each other.
    """
    return 1.0 - logits if objective == "least_squares" else -logits


def train(game: Game, state: TrainState, name: str, *inputs: Any) -> tuple[Any, PyTree]:
    """The outputs of a network in training mode, and its new batch statistics."""
    variables, stats = {"params": state.params[name]}, state.model_state[name]
    return game.networks[name].apply({**variables, **stats}, *inputs, train=True, mutable=list(stats))


def evaluate(game: Game, state: TrainState, name: str, *inputs: Any) -> Any:
    """The outputs of a network with its running batch statistics."""
    variables = {"params": state.params[name], **state.model_state[name]}
    return game.networks[name].apply(variables, *inputs, train=False)


def replaced(state: TrainState, field: str, networks: dict[str, PyTree]) -> TrainState:
    """`state` with a field's trees of some networks replaced."""
    return dataclasses.replace(state, **{field: {**getattr(state, field), **networks}})


def measured(tx: optax.GradientTransformationExtraArgs) -> optax.GradientTransformationExtraArgs:
    """`tx`, whose state also holds the norm of the last gradient."""
    return optax.chain(optax.snapshot("gradient_norm", optax.tree.norm), tx)


def _gradient_norms(state: TrainState, names: list[str]) -> dict[str, jax.Array]:
    return {f"gradient_{name}": optax.tree.get(state.opt_state[name], "gradient_norm") for name in names}


def _separately(
    txs: dict[str, optax.GradientTransformationExtraArgs],
) -> optax.GradientTransformationExtraArgs:
    """Each network's own transformation, on trees by network."""

    def init(params: PyTree) -> PyTree:
        return {name: tx.init(params[name]) for name, tx in txs.items()}

    def update(grads: PyTree, states: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        done = {name: tx.update(grads[name], states[name], params[name], **extra) for name, tx in txs.items()}
        return {name: updates for name, (updates, _) in done.items()}, {name: s for name, (_, s) in done.items()}

    return optax.GradientTransformationExtraArgs(init, update)
