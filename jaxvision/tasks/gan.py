"""Generative adversarial networks (Goodfellow et al. 2014): two networks, an optimizer each, that learn in turns.

Any generator (z, label, *, train) -> {"image"} and discriminator (image, label, z, *, train) -> {"logits": [B]} will
do: images in [-1, 1], or points of the plane. With labels the pair is conditional; with an encoder
(image, *, train) -> {"z"} it learns the joint distribution of images and latents (BiGAN, Donahue et al. 2017).

Batches hold "image", uint8 [B, H, W, C] or float points [B, D], and "label" int [B] where conditional; to sample from,
"z" [B, Z]. In a state `params`, `opt_state` and `model_state` have an entry for each network. `aux` holds "average" and
"average_state", the generator's moving average, with decay min(`average_decay`, (1 + t) / (10 + t)) at step t, so that
short runs forget their start; "recent" metrics (`tasks.collapse`); and "extractor", variables of `extract`.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Num, UInt32

from jaxvision.data.latents import Prior
from jaxvision.losses.gan import Objective
from jaxvision.tasks import collapse
from jaxvision.tasks.extractor import Extractor, judge
from jaxvision.tasks.turns import Game, Rows, SampleNorm, measured, replaced
from jaxvision.train.steps import advance, example_keys, pmean
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState


def gan(
    generator: nn.Module,
    discriminator: nn.Module,
    generator_tx: optax.GradientTransformationExtraArgs,
    discriminator_tx: optax.GradientTransformationExtraArgs,
    *,
    latent_dim: int,
    prior: Prior = "uniform",
    objective: Objective = "non_saturating",
    discriminator_steps: int = 1,
    smooth: float = 0.0,
    penalty: float = 0.0,
    average_decay: float = 0.999,
    conditional: bool = False,
    encoder: nn.Module | None = None,
    extract: Extractor | None = None,
    sample_norm: SampleNorm = "running",
) -> Task:
    """Make the task of drawing images like those of the data.

    A step is Algorithm 1 of Goodfellow et al. 2014 with k = `discriminator_steps`: the batch is dealt out, row i to
    part i mod k; each part is one discriminator step with latents of its own, then the generator takes one step with
    fresh latents on as many rows. So the batch size is k times the paper's. Latents belong to a row of the global
    batch: a step depends on the number of devices only through batch norm. Fakes take the labels of the real rows.

    Args:
        generator: draws images.
        discriminator: tells them from the data's.
        generator_tx: optimizer of the generator, and of the encoder.
        discriminator_tx: optimizer of the discriminator.
        latent_dim: Z.
        prior: distribution of the latents.
        objective: the losses.
        discriminator_steps: k.
        smooth: one-sided label smoothing: the target of real images is 1 - smooth.
        penalty: weight of the gradient penalty (10 in Gulrajani et al. 2017), for discriminators without batch norm.
        average_decay: largest decay of the generator's moving average.
        conditional: both networks see "label".
        encoder: learns beside the generator; the discriminator judges pairs of an image and a latent.
        extract: a network that samples are judged by in `predict`.
        sample_norm: batch statistics of the averaged generator: "running" averages the generator's own; "standing"
            collects them by passes of the averaged one (Brock et al. 2019); "batch" uses those of the sampled rows.

    Returns:
        The task; see `_GAN` for its outputs. A step raises ValueError for a batch that does not divide by k or has no
        labels, `init` for a penalty on a discriminator with batch norm.

    Raises:
        ValueError: a penalty with an encoder.
    """
    if penalty and encoder is not None:
        raise ValueError("penalty: the gradient penalty is not defined for pairs with latents; use it without encoder")
    txs = {"generator": generator_tx, "discriminator": discriminator_tx}
    networks = {"generator": generator, "discriminator": discriminator}
    if encoder is not None:
        txs, networks = {**txs, "encoder": generator_tx}, {**networks, "encoder": encoder}
    game = Game(networks, {name: measured(tx) for name, tx in txs.items()}, objective, smooth, penalty)
    draw = partial(latents, dim=latent_dim, prior=prior)
    task = _GAN(game, draw, discriminator_steps, average_decay, conditional, extract, sample_norm)
    return Task(task.init, task.step, task.predict)


def averaged(state: TrainState) -> PyTree:
    """Return the variables of the averaged generator, for `generator.apply(…, train=False)`."""
    return {"params": state.aux["average"], **state.aux["average_state"]}


def latents(keys: UInt32[Array, "B 2"], dim: int, prior: Prior) -> Float[Array, "B Z"]:
    """Draw latents.

    Args:
        keys: one for each latent.
        dim: numbers in a latent.
        prior: distribution of each number.

    Returns:
        A latent for each key.
    """
    if prior == "uniform":
        return jax.vmap(lambda key: jax.random.uniform(key, (dim,), minval=-1.0, maxval=1.0))(keys)
    return jax.vmap(lambda key: jax.random.normal(key, (dim,)))(keys)


def to_unit(images: Num[Array, "B ..."]) -> Float[Array, "B ..."]:
    """Scale uint8 values to [-1, 1]; return floats as they are."""
    return images.astype(jnp.float32) / 127.5 - 1.0 if images.dtype == jnp.uint8 else images


def to_pixels(images: Float[Array, "B ..."]) -> Num[Array, "B ..."]:
    """Round images [B, H, W, C] in [-1, 1] to uint8, the inverse of `to_unit`; return points as they are."""
    if images.ndim != 4:
        return images
    return jnp.round((jnp.clip(images.astype(jnp.float32), -1.0, 1.0) + 1.0) * 127.5).astype(jnp.uint8)


@dataclasses.dataclass(frozen=True)
class _GAN:
    """A game of networks, and the averaged generator, as a task.

    `predict` draws "samples" [B, …] from "z", in the form of the images, with "fake_score" [B], the discriminator's
    logit. Where there is "image" it adds "real_score", and with an encoder "latents" and "reconstructions"; with
    `extract`, "features" and "probabilities" of the samples, and "real_features".
    """

    game: Game
    draw: Callable[[jax.Array], jax.Array]  # keys [B, 2] -> latents [B, Z]
    discriminator_steps: int
    average_decay: float
    conditional: bool
    extract: Extractor | None
    sample_norm: SampleNorm

    def init(self, key: Key, batch: Batch) -> TrainState:
        game, keys = self.game, jax.random.split(key, 4)
        images, labels = to_unit(batch["image"]), self._labels(batch)
        z = self.draw(jax.random.split(key, len(images)))
        inputs = {"generator": (z, labels), "discriminator": (images, labels, z if game.joint else None)}
        inputs["encoder"] = (images,)
        variables = {n: net.init(keys[i], *inputs[n], train=True) for i, (n, net) in enumerate(game.networks.items())}
        params = {name: v["params"] for name, v in variables.items()}
        model_state = {name: {c: tree for c, tree in v.items() if c != "params"} for name, v in variables.items()}
        if game.penalty and model_state["discriminator"]:
            raise ValueError("penalty: the gradient penalty needs a discriminator without batch norm; set penalty to 0")
        aux = {"average": params["generator"], "average_state": model_state["generator"], "recent": collapse.healthy()}
        if self.extract is not None:
            aux["extractor"] = self.extract.init(keys[3], batch["image"].astype(jnp.float32))
        opt_state = {name: game.txs[name].init(params[name]) for name in params}
        return TrainState(jnp.zeros((), jnp.int32), params, opt_state, model_state, aux, key)

    def step(self, state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        parts = self._dealt(state, batch, axis_name)
        metrics: Metrics = {}
        for rows in parts:
            state, metrics = self.game.discriminator_step(state, rows, axis_name)
        state, generator_metrics = self.game.generator_step(state, parts[-1], axis_name)
        metrics = {**metrics, **generator_metrics}
        average = self._average(state, parts[-1], axis_name)
        aux = {**state.aux, **average, "recent": collapse.updated(state.aux["recent"], metrics)}
        return advance(state, state.params, state.opt_state, aux=aux), metrics

    def predict(self, state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        game, labels, z = self.game, self._labels(batch), batch["z"]
        fake = self._sample(state, z, labels)
        outputs = {"samples": to_pixels(fake)}
        score = game.evaluate(state, "discriminator", fake, labels, z if game.joint else None)["logits"]
        outputs["fake_score"] = score
        codes = None
        if "image" in batch:
            real = to_unit(batch["image"])
            if game.joint:
                outputs["latents"] = codes = game.evaluate(state, "encoder", real)["z"]
                outputs["reconstructions"] = to_pixels(self._sample(state, codes, labels))
            outputs["real_score"] = game.evaluate(state, "discriminator", real, labels, codes)["logits"]
        if self.extract is not None:
            outputs |= judge(self.extract, state.aux["extractor"], outputs["samples"], batch)
        return outputs

    def _dealt(self, state: TrainState, batch: Batch, axis_name: str | None) -> list[Rows]:
        """Deal the batch out to k parts, row i to part i mod k, however it is shared out over devices."""
        images, k = to_unit(batch["image"]), self.discriminator_steps
        if len(images) % k:
            raise ValueError(f"--batch_size: {len(images)} rows on a device do not divide by discriminator_steps={k}")
        keys = jax.vmap(partial(jax.random.split, num=3))(example_keys(state, len(images), axis_name))
        rows = Rows(images, self._labels(batch), self.draw(keys[:, 0]), self.draw(keys[:, 1]), keys[:, 2])
        return [jax.tree.map(lambda x: x.reshape(-1, k, *x.shape[1:])[:, part], rows) for part in range(k)]  # noqa: B023

    def _average(self, state: TrainState, rows: Rows, axis_name: str | None) -> dict[str, PyTree]:
        """Move the generator's moving average and its batch statistics on by one step."""
        step = state.step.astype(jnp.float32)
        share = 1.0 - jnp.minimum(self.average_decay, (1.0 + step) / (10.0 + step))
        average = optax.incremental_update(state.params["generator"], state.aux["average"], share)
        if self.sample_norm != "standing":
            stats = optax.incremental_update(state.model_state["generator"], state.aux["average_state"], share)
            return {"average": average, "average_state": stats}
        now = replaced(state, "params", {"generator": average})
        now = replaced(now, "model_state", {"generator": state.aux["average_state"]})
        _, stats = self.game.train(now, "generator", rows.z, rows.labels)
        return {"average": average, "average_state": pmean(stats, axis_name)}

    def _sample(
        self, state: TrainState, z: Float[Array, "B Z"], labels: Int[Array, " B"] | None
    ) -> Float[Array, "B ..."]:
        """Draw images of `z` by the averaged generator."""
        generator = self.game.networks["generator"]
        if self.sample_norm == "batch":
            mutable = list(state.aux["average_state"])
            return generator.apply(averaged(state), z, labels, train=True, mutable=mutable)[0]["image"]
        outputs: Any = generator.apply(averaged(state), z, labels, train=False)
        return outputs["image"]

    def _labels(self, batch: Batch) -> Int[Array, " B"] | None:
        if not self.conditional:
            return None
        if "label" not in batch:
            raise ValueError("conditional: the data have no labels; give labelled ones, or set conditional to false")
        return batch["label"]
