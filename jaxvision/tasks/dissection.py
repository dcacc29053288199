"""GAN dissection (Bau et al. 2019, "GAN Dissection"): which units of a generator cause which objects to be drawn.

The generator and a segmenter are held still. What is learned is, for each concept, how strongly to intervene on each
unit of one layer. `predict` is what the figures of `evals.dissection` are made from.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, UInt8

from jaxvision.ops.images import Color, standardise
from jaxvision.ops.interventions import Edit, ablate, at, insert, place, pool
from jaxvision.tasks.extractor import Extractor, judge
from jaxvision.train.steps import descend, example_keys, pmean
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

START = 0.5
"""α before the first step: every unit is half intervened on, so that each has a gradient."""


class Networks(NamedTuple):
    """What is dissected, and what names the things it draws. `variables` are those of both, as `init` made them."""

    init: Callable[[Key, Batch], dict[str, PyTree]]
    generate: Callable[[PyTree, Batch, Mapping[str, Edit]], Mapping[str, jax.Array]]  # "image" in [-1, 1], and layers
    segment: Callable[[PyTree, jax.Array], jax.Array]  # float images 0..255 -> probabilities [B, H, W, K]


def networks(generator: nn.Module, segmenter: nn.Module, mean: Color, std: Color) -> Networks:
    """A generator `(z, label, *, train, edit)` and a segmenter `(image, *, train) -> {"logits"}` of normalised images.

    Variables are {"generator", "segmenter"}, to be replaced by trained ones. Batch norm uses running statistics. Grey
    images are shown to the segmenter as three equal channels.
    """

    def generate(variables: PyTree, batch: Batch, edit: Mapping[str, Edit]) -> Mapping[str, jax.Array]:
        outputs: Any = generator.apply(
            variables["generator"], batch["z"], batch.get("label"), train=False, edit=dict(edit)
        )
        return outputs

    def segment(variables: PyTree, images: Float[Array, "B S T C"]) -> Float[Array, "B H W K"]:
        outputs: Any = segmenter.apply(variables["segmenter"], _normalised(images, mean, std), train=False)
        return jax.nn.softmax(outputs["logits"].astype(jnp.float32))

    def init(key: Key, batch: Batch) -> dict[str, PyTree]:
        own = {"generator": generator.init(key, batch["z"], batch.get("label"), train=False)}
        images = pixels(generate(own, batch, {})["image"])
        return {**own, "segmenter": segmenter.init(key, _normalised(images, mean, std), train=False)}

    return Networks(init, generate, segment)


def dissection(
    nets: Networks,
    tx: optax.GradientTransformationExtraArgs,
    *,
    layer: str,
    concepts: Sequence[int],
    patch: int = 1,
    l2: float = 0.005,
    extract: Extractor | None = None,
) -> Task:
    """Learn α [C, U] in [0, 1], for each of the classes `concepts` the units of `layer` that cause it.

    Maximised is the average causal effect (section 3.2) δ = E[s_c(x_i)] − E[s_c(x_a)], less `l2`·‖α‖²: s_c is the
    segmenter's mean probability of the class at a random square of `patch` cells (`ops.interventions.place`), x_i the
    image with the units held there at `values(state)`, x_a with the units held at 0. α is clipped after each step.

    Batches hold "z" [B, Z] (and "label" for a conditional generator). `predict` returns `samples` uint8 [B, S, S, C],
    `areas` [B, K], each class's share of the pixels, and `presence` [B, h, w, K], its mean probability in each cell of
    the layer; also `units` float16 [B, h, w, U], the layer's map, and `classes` uint8 [B, H, W], the class of largest
    probability. With an intervention in the batch, "alpha" and "values" [B, U], "where" [B, h, w], the images are
    those that it gives, and the last two are left out. `extract` adds the samples' `features` and `probabilities`,
    and `real_features` where there is "image". ValueError: no such layer.
    """
    rules = _Rules(nets, tx, layer, tuple(concepts), patch, l2, extract)
    return Task(partial(_init, rules), partial(_step, rules), partial(_predict, rules))


def examining(state: TrainState, **variables: PyTree) -> TrainState:
    """The state with trained networks in it (generator=…, segmenter=…, extractor=…): for a stage's `warm_start`."""
    if unknown := variables.keys() - state.aux.keys():
        raise ValueError(f"dissection: no network is called {', '.join(sorted(unknown))}; there are generator, "
                         "segmenter and, with extract, extractor")  # fmt: skip
    return dataclasses.replace(state, aux={**state.aux, **variables})


def values(state: TrainState) -> Float[Array, "C U"]:
    """Each unit's mean where a concept is, over the images seen so far: what it is held at to insert that concept."""
    return _ratio(state.aux["sums"], state.aux["weights"])


def pixels(images: Float[Array, "B S T C"]) -> Float[Array, "B S T C"]:
    """Images in [-1, 1] as 0..255, not rounded, so that there is a gradient."""
    return (jnp.clip(images.astype(jnp.float32), -1.0, 1.0) + 1.0) * 127.5


class _Rules(NamedTuple):
    """`dissection`'s arguments."""

    nets: Networks
    tx: optax.GradientTransformationExtraArgs
    layer: str
    concepts: tuple[int, ...]
    patch: int
    l2: float
    extract: Extractor | None


def _init(rules: _Rules, key: Key, batch: Batch) -> TrainState:
    variables = rules.nets.init(key, batch)
    outputs = rules.nets.generate(variables, batch, {})
    units = _layer(rules, outputs).shape[-1]
    shape = (len(rules.concepts), units)
    params = {"alpha": jnp.full(shape, START, jnp.float32)}
    aux = {**variables, "sums": jnp.zeros(shape), "weights": jnp.zeros(shape[:1])}
    if rules.extract is not None:
        aux["extractor"] = rules.extract.init(key, _whole(outputs["image"]).astype(jnp.float32))
    return TrainState(jnp.zeros((), jnp.int32), params, rules.tx.init(params), {}, aux, key)


def _step(
    rules: _Rules, state: TrainState, batch: Batch, *, axis_name: str | None = None
) -> tuple[TrainState, Metrics]:
    presence, maps = _unedited(rules, state, batch)
    sums = jnp.einsum("bhwc,bhwu->bcu", presence, maps).mean(axis=0)
    seen = pmean({"sums": sums, "weights": presence.sum(axis=(1, 2)).mean(axis=0)}, axis_name)
    state = dataclasses.replace(state, aux={**state.aux, **{name: state.aux[name] + new for name, new in seen.items()}})
    keys = jax.vmap(partial(jax.random.split, num=len(rules.concepts)))(example_keys(state, len(presence), axis_name))
    where = jax.vmap(partial(place, patch=rules.patch))(keys.swapaxes(0, 1), jnp.moveaxis(presence, -1, 0))
    constants, labels = values(state), jnp.array(rules.concepts)

    def loss_fn(params: PyTree) -> tuple[jax.Array, jax.Array]:
        # One concept after the other, each computed again for its gradient: memory for one.
        one = jax.checkpoint(partial(_effect, rules, state, batch))
        effects = jax.lax.map(lambda x: one(*x), (params["alpha"], constants, where, labels))
        return rules.l2 * jnp.square(params["alpha"]).sum() - effects.sum(), effects

    params, opt_state, loss, effects = descend(loss_fn, state.params, state.opt_state, rules.tx, axis_name=axis_name)
    params = {"alpha": jnp.clip(params["alpha"], 0.0, 1.0)}
    metrics = {"loss": loss, "effect": effects.mean(), "units": params["alpha"].sum(axis=1).mean()}
    return dataclasses.replace(state, step=state.step + 1, params=params, opt_state=opt_state), metrics


def _unedited(
    rules: _Rules, state: TrainState, batch: Batch
) -> tuple[Float[Array, "B h w C"], Float[Array, "B h w U"]]:
    """Where the concepts are, cell by cell, and the layer's map."""
    outputs = rules.nets.generate(state.aux, batch, {})
    maps = _layer(rules, outputs).astype(jnp.float32)
    probabilities = rules.nets.segment(state.aux, pixels(outputs["image"]))
    return pool(probabilities, maps.shape[1:3])[..., jnp.array(rules.concepts)], maps


def _effect(
    rules: _Rules,
    state: TrainState,
    batch: Batch,
    alpha: jax.Array,
    constants: jax.Array,
    where: jax.Array,
    c: jax.Array,
) -> Float[Array, ""]:
    """How much more of class c is at the places with the units inserted than with them ablated."""

    def score(edit: Edit) -> Float[Array, " B"]:
        image = rules.nets.generate(state.aux, batch, {rules.layer: edit})["image"]
        probabilities = rules.nets.segment(state.aux, pixels(image))
        return at(jnp.take(pool(probabilities, where.shape[1:]), c, axis=-1), where)

    inserted, ablated = score(insert(alpha[None], constants[None], where)), score(ablate(alpha[None], where))
    return jnp.mean(inserted - ablated)


def _predict(rules: _Rules, state: TrainState, batch: Batch) -> dict[str, jax.Array]:
    edited = "alpha" in batch
    edit = {rules.layer: insert(batch["alpha"], batch["values"], batch["where"])} if edited else {}
    made = rules.nets.generate(state.aux, batch, edit)
    maps, samples = _layer(rules, made), _whole(made["image"])
    probabilities = rules.nets.segment(state.aux, samples.astype(jnp.float32))
    labels = jnp.argmax(probabilities, axis=-1)
    outputs = {
        "samples": samples,
        "areas": jax.nn.one_hot(labels, probabilities.shape[-1]).mean(axis=(1, 2)),
        "presence": pool(probabilities, maps.shape[1:3]),
    }
    if not edited:
        outputs |= {"units": maps.astype(jnp.float16), "classes": labels.astype(jnp.uint8)}
    if rules.extract is not None:
        outputs |= judge(rules.extract, state.aux["extractor"], samples, batch)
    return outputs


def _layer(rules: _Rules, outputs: Mapping[str, jax.Array]) -> Float[Array, "B h w U"]:
    if rules.layer not in outputs:
        known = ", ".join(name for name, x in outputs.items() if x.ndim == 4 and name != "image")
        raise ValueError(f"layer: the generator has no {rules.layer!r}; choose among {known}")
    return outputs[rules.layer]


def _ratio(sums: Float[Array, "C U"], weights: Float[Array, " C"]) -> Float[Array, "C U"]:
    return sums / jnp.maximum(weights, 1e-6)[:, None]


def _whole(images: Float[Array, "B S T C"]) -> UInt8[Array, "B S T C"]:
    return jnp.round(pixels(images)).astype(jnp.uint8)


def _normalised(images: Float[Array, "B S T C"], mean: Color, std: Color) -> Float[Array, "B S T 3"]:
    return standardise(jnp.broadcast_to(images, (*images.shape[:3], 3)), mean, std)
