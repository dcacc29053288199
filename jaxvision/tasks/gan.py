"""Generative adversarial networks (Goodfellow et al. 2014): two networks, an optimizer each, that learn in turns.

Any generator `(z, label, *, train) -> {"image"}` and discriminator `(image, label, z, *, train) -> {"logits"}` will do:
images in [-1, 1], or points of the plane. With labels the pair is conditional; with an encoder
`(image, *, train) -> {"z"}` it learns the joint distribution of images and latents (BiGAN, Donahue et al. 2017).
"""

import dataclasses
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
from jaxvision.tasks.turns import (
    Game,
    Rows,
    SampleNorm,
    discriminator_step,
    evaluate,
    generator_step,
    measured,
    replaced,
    train,
)
from jaxvision.train.steps import example_keys, pmean
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
    """Learn to draw what looks like `batch["image"]`: uint8 [B, H, W, C], or float points [B, D], left as they are.

    A step is Algorithm 1 of Goodfellow et al. 2014 with k = `discriminator_steps`: the batch is dealt out, row i to
    part i mod k; each part is one discriminator step with noise of its own, then the generator takes one step with
    fresh noise on as many rows. So the batch size is k times the paper's. Real and fake rows pass the discriminator
    separately, each normalised by its own batch statistics. Noise belongs to a row of the global batch: what a step
    does depends on the number of devices only through batch norm.

    `smooth`: one-sided label smoothing. `penalty`: weight of the gradient penalty (10 in Gulrajani et al. 2017), for
    discriminators without batch norm. `conditional`: both networks see `batch["label"]`; fakes take the labels of the
    real rows. `encoder`: its latent of a real image and the latent of a fake one are shown with the image, and it
    learns beside the generator, by the same optimizer's rule.

    `aux` holds the generator's moving average ("average", "average_state") with decay min(`average_decay`,
    (1 + t) / (10 + t)) at step t, so that short runs forget their start; "recent" metrics (`tasks.collapse`); and the
    variables of `extract` ("extractor"). `sample_norm` is where the averaged generator's batch statistics come from:
    "running" averages the generator's own like the parameters; "standing" collects them from forward passes of the
    averaged generator, one more a step (standing statistics, Brock et al. 2019); "batch" uses those of the rows
    sampled together, so that a sample depends on its batch mates.

    `predict` draws `samples` from `batch["z"]` [B, Z] (and "label" where conditional), in the form of the images, with
    `fake_score`, the discriminator's logit [B]. Where there is "image" it adds `real_score`, and with an encoder
    `latents` and `reconstructions`; with `extract`, `features` and `probabilities` of the samples and `real_features`.
    ValueError: a batch that does not divide by k, no labels, a penalty that the networks do not allow.
    """
    if penalty and encoder is not None:
        raise ValueError("penalty: the gradient penalty is not defined for pairs with latents; use it without encoder")
    txs = {"generator": generator_tx, "discriminator": discriminator_tx}
    networks = {"generator": generator, "discriminator": discriminator}
    if encoder is not None:
        txs, networks = {**txs, "encoder": generator_tx}, {**networks, "encoder": encoder}
    game = Game(
        networks,
        {name: measured(tx) for name, tx in txs.items()},
        partial(latents, dim=latent_dim, prior=prior),
        objective,
        discriminator_steps,
        smooth,
        penalty,
        average_decay,
        conditional,
        extract,
        sample_norm,
    )
    return Task(partial(_init, game), partial(_step, game), partial(_predict, game))


def averaged(state: TrainState) -> PyTree:
    """The variables of the averaged generator, for `generator.apply(…, train=False)`."""
    return {"params": state.aux["average"], **state.aux["average_state"]}


def latents(keys: UInt32[Array, "B 2"], dim: int, prior: Prior) -> Float[Array, "B Z"]:
    """A latent for each key."""
    if prior == "uniform":
        return jax.vmap(lambda key: jax.random.uniform(key, (dim,), minval=-1.0, maxval=1.0))(keys)
    return jax.vmap(lambda key: jax.random.normal(key, (dim,)))(keys)


def to_unit(images: Num[Array, "B ..."]) -> Float[Array, "B ..."]:
    """uint8 as [-1, 1]; floats as they are."""
    return images.astype(jnp.float32) / 127.5 - 1.0 if images.dtype == jnp.uint8 else images


def to_pixels(images: Float[Array, "B ..."]) -> Num[Array, "B ..."]:
    """Images [B, H, W, C] in [-1, 1] as uint8, the inverse of `to_unit`; points as they are."""
    if images.ndim != 4:
        return images
    return jnp.round((jnp.clip(images.astype(jnp.float32), -1.0, 1.0) + 1.0) * 127.5).astype(jnp.uint8)


def _init(game: Game, key: Key, batch: Batch) -> TrainState:
    keys = jax.random.split(key, 4)
    images, labels = to_unit(batch["image"]), _labels(game, batch)
    z = game.draw(jax.random.split(key, len(images)))
    inputs = {"generator": (z, labels), "discriminator": (images, labels, z if game.joint else None)}
    inputs["encoder"] = (images,)
    variables = {n: net.init(keys[i], *inputs[n], train=True) for i, (n, net) in enumerate(game.networks.items())}
    params = {name: v["params"] for name, v in variables.items()}
    model_state = {name: {c: tree for c, tree in v.items() if c != "params"} for name, v in variables.items()}
    if game.penalty and model_state["discriminator"]:
        raise ValueError("penalty: the gradient penalty needs a discriminator without batch norm; set penalty to 0")
    aux = {"average": params["generator"], "average_state": model_state["generator"], "recent": collapse.healthy()}
    if game.extract is not None:
        aux["extractor"] = game.extract.init(keys[3], batch["image"].astype(jnp.float32))
    opt_state = {name: game.txs[name].init(params[name]) for name in params}
    return TrainState(jnp.zeros((), jnp.int32), params, opt_state, model_state, aux, key)


def _step(game: Game, state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
    parts = _dealt(game, state, batch, axis_name)
    metrics: Metrics = {}
    for rows in parts:
        state, metrics = discriminator_step(game, state, rows, axis_name)
    state, more = generator_step(game, state, parts[-1], axis_name)
    metrics = {**metrics, **more}
    average = _average(game, state, parts[-1], axis_name)
    recent = collapse.updated(state.aux["recent"], metrics)
    aux = {**state.aux, **average, "recent": recent}
    return dataclasses.replace(state, step=state.step + 1, aux=aux), metrics


def _dealt(game: Game, state: TrainState, batch: Batch, axis_name: str | None) -> list[Rows]:
    """The k parts of the batch, row i of which is in part i mod k, however the batch is shared out over devices."""
    images, k = to_unit(batch["image"]), game.discriminator_steps
    if len(images) % k:
        raise ValueError(f"--batch_size: {len(images)} rows on a device do not divide by discriminator_steps={k}")
    keys = jax.vmap(partial(jax.random.split, num=3))(example_keys(state, len(images), axis_name))
    rows = Rows(images, _labels(game, batch), game.draw(keys[:, 0]), game.draw(keys[:, 1]), keys[:, 2])
    return [jax.tree.map(lambda x: x.reshape(-1, k, *x.shape[1:])[:, part], rows) for part in range(k)]  # noqa: B023


def _average(game: Game, state: TrainState, rows: Rows, axis_name: str | None) -> dict[str, PyTree]:
    """The generator's moving average with its batch statistics."""
    step = state.step.astype(jnp.float32)
    share = 1.0 - jnp.minimum(game.average_decay, (1.0 + step) / (10.0 + step))
    average = optax.incremental_update(state.params["generator"], state.aux["average"], share)
    if game.sample_norm != "standing":
        stats = optax.incremental_update(state.model_state["generator"], state.aux["average_state"], share)
        return {"average": average, "average_state": stats}
    now = replaced(state, "params", {"generator": average})
    now = replaced(now, "model_state", {"generator": state.aux["average_state"]})
    _, stats = train(game, now, "generator", rows.z, rows.labels)
    return {"average": average, "average_state": pmean(stats, axis_name)}


def _predict(game: Game, state: TrainState, batch: Batch) -> dict[str, jax.Array]:
    labels, z = _labels(game, batch), batch["z"]
    fake = _sample(game, state, z, labels)
    outputs = {"samples": to_pixels(fake)}
    outputs["fake_score"] = evaluate(game, state, "discriminator", fake, labels, z if game.joint else None)["logits"]
    codes = None
    if "image" in batch:
        real = to_unit(batch["image"])
        if game.joint:
            outputs["latents"] = codes = evaluate(game, state, "encoder", real)["z"]
            outputs["reconstructions"] = to_pixels(_sample(game, state, codes, labels))
        outputs["real_score"] = evaluate(game, state, "discriminator", real, labels, codes)["logits"]
    if game.extract is not None:
        outputs |= judge(game.extract, state.aux["extractor"], outputs["samples"], batch)
    return outputs


def _sample(
    game: Game, state: TrainState, z: Float[Array, "B Z"], labels: Int[Array, " B"] | None
) -> Float[Array, "B ..."]:
    """What the averaged generator makes of `z`."""
    if game.sample_norm == "batch":
        net, mutable = game.networks["generator"], list(state.aux["average_state"])
        return net.apply(averaged(state), z, labels, train=True, mutable=mutable)[0]["image"]
    outputs: Any = game.networks["generator"].apply(averaged(state), z, labels, train=False)
    return outputs["image"]


def _labels(game: Game, batch: Batch) -> Int[Array, " B"] | None:
    if not game.conditional:
        return None
    if "label" not in batch:
        raise ValueError("conditional: the data have no labels; give labelled ones, or set conditional to false")
    return batch["label"]
