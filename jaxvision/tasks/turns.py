"""The two turns of a GAN: one step of the discriminator, one of the generator (and encoder), each against the other.

Networks go by name, as their parameters do in the state: "generator", "discriminator" and perhaps "encoder".
"""

import dataclasses
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, UInt32

from jaxvision.losses.gan import Objective, discriminator_loss, generator_loss, gradient_penalty
from jaxvision.tasks.collapse import diversity
from jaxvision.train.steps import descend
from jaxvision.train.types import PyTree, TrainState

SampleNorm = Literal["running", "batch", "standing"]
"""Which batch statistics the averaged generator samples with; see `gan`."""


class Rows(NamedTuple):
    """The examples of one discriminator step and of the generator step that may follow it."""

    images: Float[Array, "B ..."]  # real ones, in [-1, 1]
    labels: Int[Array, " B"] | None  # of real and of fake images
    z: Float[Array, "B Z"]  # latents of the fakes that the discriminator learns from
    fresh: Float[Array, "B Z"]  # latents of the fakes that the generator learns from
    keys: UInt32[Array, "B 2"]  # for the gradient penalty


@dataclasses.dataclass(frozen=True)
class Game:
    """The players and their losses."""

    networks: dict[str, nn.Module]  # by name
    txs: dict[str, optax.GradientTransformationExtraArgs]  # their optimizers, each `measured`
    objective: Objective
    smooth: float  # one-sided label smoothing
    penalty: float  # weight of the gradient penalty

    @property
    def joint(self) -> bool:
        """True with an encoder: the discriminator judges pairs of an image and a latent."""
        return "encoder" in self.networks

    def train(self, state: TrainState, name: str, *inputs: Any) -> tuple[Any, PyTree]:
        """Run a network in training mode; return its outputs and its new batch statistics."""
        variables, stats = {"params": state.params[name]}, state.model_state[name]
        return self.networks[name].apply({**variables, **stats}, *inputs, train=True, mutable=list(stats))

    def evaluate(self, state: TrainState, name: str, *inputs: Any) -> Any:
        """Run a network with its running batch statistics."""
        variables = {"params": state.params[name], **state.model_state[name]}
        return self.networks[name].apply(variables, *inputs, train=False)

    def discriminator_step(
        self, state: TrainState, rows: Rows, axis_name: str | None
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """Update the discriminator against fakes of `rows.z`, which carry no gradient.

        Real rows come first and then fake ones, each normalised by their own batch statistics; the running statistics
        take in both, and those of the generator and encoder stay as they are.

        Args:
            state: the state before the update; its step is not counted here.
            rows: the examples.
            axis_name: axis of the devices that share the batch, if there are several.

        Returns:
            The new state, and metrics: loss, accuracies, penalty and gradient norm.
        """
        name = "discriminator"
        fake = self.train(state, "generator", rows.z, rows.labels)[0]["image"]
        codes = self.train(state, "encoder", rows.images)[0]["z"] if self.joint else None

        def loss_fn(params: PyTree) -> tuple[jax.Array, tuple[PyTree, dict[str, jax.Array]]]:
            now = replaced(state, "params", {name: params})
            real_outputs, stats = self.train(now, name, rows.images, rows.labels, codes)
            now = replaced(now, "model_state", {name: stats})
            fake_outputs, stats = self.train(now, name, fake, rows.labels, rows.z if self.joint else None)
            metrics = self._discriminator_metrics(real_outputs["logits"], fake_outputs["logits"])
            if self.penalty:
                metrics["penalty"] = self._gradient_penalty(params, rows, fake)
            return metrics["loss_discriminator"] + self.penalty * metrics.get("penalty", 0.0), (stats, metrics)

        params, opt_state, _, (stats, metrics) = descend(
            loss_fn, state.params[name], state.opt_state[name], self.txs[name], axis_name=axis_name
        )
        state = replaced(state, "params", {name: params})
        state = replaced(replaced(state, "opt_state", {name: opt_state}), "model_state", {name: stats})
        return state, {**metrics, **_gradient_norms(state, [name])}

    def generator_step(
        self, state: TrainState, rows: Rows, axis_name: str | None
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """Update the generator on `rows.fresh`, and the encoder on the real images, each by its own optimizer.

        The discriminator is frozen; the batch statistics that it would gather here are dropped.

        Args:
            state: the state before the update; its step is not counted here.
            rows: the examples.
            axis_name: axis of the devices that share the batch, if there are several.

        Returns:
            The new state, and metrics: losses, diversity, D(G(z)) where the objective has it, and gradient norms.
        """
        names = [name for name in self.networks if name != "discriminator"]

        def loss_fn(params: PyTree) -> tuple[jax.Array, tuple[PyTree, dict[str, jax.Array]]]:
            now = replaced(state, "params", params)
            generated, stats = self.train(now, "generator", rows.fresh, rows.labels)
            z = rows.fresh if self.joint else None
            judged, _ = self.train(now, "discriminator", generated["image"], rows.labels, z)
            logits = judged["logits"]
            losses, stats = {"loss_generator": generator_loss(self.objective, logits)}, {"generator": stats}
            if self.joint:
                code, stats["encoder"] = self.train(now, "encoder", rows.images)
                judged, _ = self.train(now, "discriminator", rows.images, rows.labels, code["z"])
                losses["loss_encoder"] = generator_loss(self.objective, _as_fake(self.objective, judged["logits"]))
            spread = diversity(generated["image"], rows.images, axis_name)
            metrics = {**losses, "diversity": spread, **_belief(self.objective, logits)}
            return sum(losses.values(), jnp.zeros(())), (stats, metrics)

        params, opt_state, _, (stats, metrics) = descend(
            loss_fn,
            {name: state.params[name] for name in names},
            {name: state.opt_state[name] for name in names},
            _separately({name: self.txs[name] for name in names}),
            axis_name=axis_name,
        )
        state = replaced(replaced(replaced(state, "params", params), "opt_state", opt_state), "model_state", stats)
        return state, {**metrics, **_gradient_norms(state, names)}

    def _discriminator_metrics(self, real: Float[Array, " B"], fake: Float[Array, " B"]) -> dict[str, Float[Array, ""]]:
        """Return the loss, and the shares of real and of fake rows on their side of the boundary.

        A Wasserstein critic has no boundary: its scores mean something only beside each other.
        """
        boundary = 0.5 if self.objective == "least_squares" else 0.0
        return {
            "loss_discriminator": discriminator_loss(self.objective, real, fake, self.smooth),
            "real_accuracy": jnp.mean((real > boundary).astype(jnp.float32)),
            "fake_accuracy": jnp.mean((fake < boundary).astype(jnp.float32)),
        }

    def _gradient_penalty(self, params: PyTree, rows: Rows, fake: Float[Array, "B ..."]) -> Float[Array, ""]:
        """Average the penalty of the rows, each between its real and its fake image at a place drawn from its key."""

        def one(real: jax.Array, fake: jax.Array, label: jax.Array | None, key: jax.Array) -> jax.Array:
            def critic(images: jax.Array) -> jax.Array:
                labels = None if label is None else label[None]
                outputs: Any = self.networks["discriminator"].apply({"params": params}, images, labels, train=True)
                return outputs["logits"]

            return gradient_penalty(critic, real[None], fake[None], key)

        return jnp.mean(jax.vmap(one)(rows.images, fake, rows.labels, rows.keys))


def _belief(objective: Objective, fake: Float[Array, " B"]) -> dict[str, Float[Array, ""]]:
    """Return the mean D(G(z)) as "fake_probability"; {} where scores are no log odds."""
    if objective not in ("minimax", "non_saturating"):
        return {}
    return {"fake_probability": jnp.mean(jax.nn.sigmoid(fake.astype(jnp.float32)))}


def _as_fake(objective: Objective, logits: Float[Array, " B"]) -> Float[Array, " B"]:
    """Turn scores of pairs (x, E(x)), which the encoder wants to be taken for fake, into the generator's terms.

    Real and fake change places: logits change sign, and least squares' targets 1 and 0 change into each other.
    """
    return 1.0 - logits if objective == "least_squares" else -logits


def replaced(state: TrainState, field: str, networks: dict[str, PyTree]) -> TrainState:
    """Replace trees of some networks in a field of a state.

    Args:
        state: a state whose fields have a tree for each network.
        field: name of the field, such as "params".
        networks: new trees by network.

    Returns:
        The new state.
    """
    return dataclasses.replace(state, **{field: {**getattr(state, field), **networks}})


def measured(tx: optax.GradientTransformationExtraArgs) -> optax.GradientTransformationExtraArgs:
    """Extend `tx` so that its state also holds the norm of the last gradient."""
    return optax.chain(optax.snapshot("gradient_norm", optax.tree.norm), tx)


def _gradient_norms(state: TrainState, names: list[str]) -> dict[str, jax.Array]:
    return {f"gradient_{name}": optax.tree.get(state.opt_state[name], "gradient_norm") for name in names}


def _separately(
    txs: dict[str, optax.GradientTransformationExtraArgs],
) -> optax.GradientTransformationExtraArgs:
    """Apply each network's own transformation to trees by network."""

    def init(params: PyTree) -> PyTree:
        return {name: tx.init(params[name]) for name, tx in txs.items()}

    def update(grads: PyTree, states: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        done = {name: tx.update(grads[name], states[name], params[name], **extra) for name, tx in txs.items()}
        return {name: updates for name, (updates, _) in done.items()}, {name: s for name, (_, s) in done.items()}

    return optax.GradientTransformationExtraArgs(init, update)
