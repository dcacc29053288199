"""GAN dissection (Bau et al. 2019, "GAN Dissection"): which units of a generator cause which objects to be drawn.

The generator and a segmenter are frozen. What is learned is, for each concept, how strongly to intervene on each unit
of one layer. `predict` gives what the metrics of `evals.dissection` are computed from.

Batches hold "z" [B, Z], and "label" int [B] for a conditional generator; for an intervention also "alpha" and "values"
[B, U] and "where" [B, h, w] (see `ops.interventions.insert`). U is units, C concepts, K the segmenter's classes.
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
from jaxvision.train.steps import advance, descend, example_keys, init_state, pmean
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

START = 0.5
"""α before the first step: half an intervention on every unit, so that each has a gradient."""


class Networks(NamedTuple):
    """The generator that is dissected and the segmenter that names what it draws, as functions of their variables."""

    init: Callable[[Key, Batch], dict[str, PyTree]]  # (key, batch) -> variables of both
    generate: Callable[
        [PyTree, Batch, Mapping[str, Edit]], Mapping[str, jax.Array]
    ]  # (variables, batch, edit) -> "image" in [-1, 1], and its layers' maps
    segment: Callable[[PyTree, jax.Array], jax.Array]  # (variables, images 0..255) -> probabilities [B, H, W, K]


def networks(generator: nn.Module, segmenter: nn.Module, mean: Color, std: Color) -> Networks:
    """Make a generator and a segmenter ready for dissection.

    Args:
        generator: (z, label, *, train, edit) -> {"image", …}.
        segmenter: (images, *, train) -> {"logits": [B, H, W, K]}, of normalised images; it gets grey ones as three
            equal channels.
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.

    Returns:
        Both in evaluation mode; variables are {"generator", "segmenter"}, to be replaced by trained ones.
    """

    def generate(variables: PyTree, batch: Batch, edit: Mapping[str, Edit]) -> Mapping[str, jax.Array]:
        outputs: Any = generator.apply(
            variables["generator"], batch["z"], batch.get("label"), train=False, edit=dict(edit)
        )
        return outputs

    def segment(variables: PyTree, images: Float[Array, "B S T C"]) -> Float[Array, "B H W K"]:
        outputs: Any = segmenter.apply(variables["segmenter"], _for_segmenter(images, mean, std), train=False)
        return jax.nn.softmax(outputs["logits"].astype(jnp.float32))

    def init(key: Key, batch: Batch) -> dict[str, PyTree]:
        variables = {"generator": generator.init(key, batch["z"], batch.get("label"), train=False)}
        images = pixels(generate(variables, batch, {})["image"])
        return {**variables, "segmenter": segmenter.init(key, _for_segmenter(images, mean, std), train=False)}

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
    """Make the task of finding the units that cause each concept: α [C, U] in [0, 1].

    Maximised is the average causal effect (section 3.2) δ = E[s_c(x_i)] − E[s_c(x_a)], less `l2`·‖α‖²: s_c is the
    segmenter's mean probability of the class at a random square (`ops.interventions.place`), x_i the image with the
    units held there at `values(state)`, x_a with the units held at 0. α is clipped after each step.

    Args:
        nets: the frozen networks.
        tx: the optimizer of α.
        layer: the generator's map whose units are examined.
        concepts: classes of the segmenter.
        patch: cells a side of the square.
        l2: weight of the penalty.
        extract: gives features of the samples to evaluations; None: none.

    Returns:
        The task. Metrics are "loss", "effect" and "units", the mean number of units in an intervention. `predict`
        returns "samples" uint8 [B, S, S, C], "areas" [B, K], each class's share of the pixels, "presence" [B, h, w, K],
        its mean probability in each cell of the layer; without an intervention in the batch also "units" float16
        [B, h, w, U], the layer's map, and "classes" uint8 [B, H, W], the most probable class; with `extract` also the
        samples' "features" and "probabilities", and "real_features" where there is "image". It raises ValueError if
        there is no such layer.
    """
    task = _Dissection(nets, tx, layer, tuple(concepts), patch, l2, extract)
    return Task(task.init, task.step, task.predict)


def examining(state: TrainState, **variables: PyTree) -> TrainState:
    """Put trained networks into a state, as a stage's `warm_start` does.

    Args:
        state: a state of `dissection`.
        **variables: of the networks by name: generator, segmenter, extractor.

    Raises:
        ValueError: a network of another name.
    """
    if unknown := variables.keys() - state.aux.keys():
        raise ValueError(f"dissection: no network is called {', '.join(sorted(unknown))}; there are generator, "
                         "segmenter and, with extract, extractor")  # fmt: skip
    return dataclasses.replace(state, aux={**state.aux, **variables})


def values(state: TrainState) -> Float[Array, "C U"]:
    """Return each unit's mean where a concept is, over the images so far: the value that inserts the concept."""
    return _ratio(state.aux["sums"], state.aux["weights"])


def pixels(images: Float[Array, "B S T C"]) -> Float[Array, "B S T C"]:
    """Turn images in [-1, 1] into 0..255, without rounding, so that there is a gradient."""
    return (jnp.clip(images.astype(jnp.float32), -1.0, 1.0) + 1.0) * 127.5


@dataclasses.dataclass(frozen=True)
class _Dissection:
    """The interventions of `dissection` as a task."""

    nets: Networks
    tx: optax.GradientTransformationExtraArgs
    layer: str
    concepts: tuple[int, ...]
    patch: int
    l2: float
    extract: Extractor | None

    def init(self, key: Key, batch: Batch) -> TrainState:
        variables = self.nets.init(key, batch)
        outputs = self.nets.generate(variables, batch, {})
        shape = (len(self.concepts), self._maps(outputs).shape[-1])
        params = {"alpha": jnp.full(shape, START, jnp.float32)}
        aux = {**variables, "sums": jnp.zeros(shape), "weights": jnp.zeros(shape[:1])}
        if self.extract is not None:
            aux["extractor"] = self.extract.init(key, _rounded(outputs["image"]).astype(jnp.float32))
        return init_state(key, {"params": params}, self.tx.init(params), aux)

    def step(self, state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        presence, maps = self._unedited(state, batch)
        sums = jnp.einsum("bhwc,bhwu->bcu", presence, maps).mean(axis=0)
        seen = pmean({"sums": sums, "weights": presence.sum(axis=(1, 2)).mean(axis=0)}, axis_name)
        state = dataclasses.replace(
            state, aux={**state.aux, **{name: state.aux[name] + new for name, new in seen.items()}}
        )
        keys = jax.vmap(partial(jax.random.split, num=len(self.concepts)))(
            example_keys(state, len(presence), axis_name)
        )
        where = jax.vmap(partial(place, patch=self.patch))(keys.swapaxes(0, 1), jnp.moveaxis(presence, -1, 0))
        constants, labels = values(state), jnp.array(self.concepts)

        def loss_fn(params: PyTree) -> tuple[jax.Array, jax.Array]:
            # One concept after the other, each computed again for its gradient: memory for one.
            effect = jax.checkpoint(partial(self._effect, state, batch))
            effects = jax.lax.map(lambda x: effect(*x), (params["alpha"], constants, where, labels))
            return self.l2 * jnp.square(params["alpha"]).sum() - effects.sum(), effects

        params, opt_state, loss, effects = descend(loss_fn, state.params, state.opt_state, self.tx, axis_name=axis_name)
        params = {"alpha": jnp.clip(params["alpha"], 0.0, 1.0)}
        metrics = {"loss": loss, "effect": effects.mean(), "units": params["alpha"].sum(axis=1).mean()}
        return advance(state, params, opt_state), metrics

    def predict(self, state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        edited = "alpha" in batch
        edit = {self.layer: insert(batch["alpha"], batch["values"], batch["where"])} if edited else {}
        generated = self.nets.generate(state.aux, batch, edit)
        maps, samples = self._maps(generated), _rounded(generated["image"])
        probabilities = self.nets.segment(state.aux, samples.astype(jnp.float32))
        labels = jnp.argmax(probabilities, axis=-1)
        outputs = {
            "samples": samples,
            "areas": jax.nn.one_hot(labels, probabilities.shape[-1]).mean(axis=(1, 2)),
            "presence": pool(probabilities, maps.shape[1:3]),
        }
        if not edited:
            outputs |= {"units": maps.astype(jnp.float16), "classes": labels.astype(jnp.uint8)}
        if self.extract is not None:
            outputs |= judge(self.extract, state.aux["extractor"], samples, batch)
        return outputs

    def _unedited(self, state: TrainState, batch: Batch) -> tuple[Float[Array, "B h w C"], Float[Array, "B h w U"]]:
        """Return where the concepts are, cell by cell, and the layer's map, of images without an intervention."""
        outputs = self.nets.generate(state.aux, batch, {})
        maps = self._maps(outputs).astype(jnp.float32)
        probabilities = self.nets.segment(state.aux, pixels(outputs["image"]))
        return pool(probabilities, maps.shape[1:3])[..., jnp.array(self.concepts)], maps

    def _effect(
        self,
        state: TrainState,
        batch: Batch,
        alpha: jax.Array,
        constants: jax.Array,
        where: jax.Array,
        concept: jax.Array,
    ) -> Float[Array, ""]:
        """Compute how much more of a concept is at the places with the units inserted than with them ablated."""

        def score(edit: Edit) -> Float[Array, " B"]:
            image = self.nets.generate(state.aux, batch, {self.layer: edit})["image"]
            probabilities = self.nets.segment(state.aux, pixels(image))
            return at(jnp.take(pool(probabilities, where.shape[1:]), concept, axis=-1), where)

        inserted, ablated = score(insert(alpha[None], constants[None], where)), score(ablate(alpha[None], where))
        return jnp.mean(inserted - ablated)

    def _maps(self, outputs: Mapping[str, jax.Array]) -> Float[Array, "B h w U"]:
        if self.layer not in outputs:
            known = ", ".join(name for name, x in outputs.items() if x.ndim == 4 and name != "image")
            raise ValueError(f"layer: the generator has no {self.layer!r}; choose among {known}")
        return outputs[self.layer]


def _ratio(sums: Float[Array, "C U"], weights: Float[Array, " C"]) -> Float[Array, "C U"]:
    return sums / jnp.maximum(weights, 1e-6)[:, None]


def _rounded(images: Float[Array, "B S T C"]) -> UInt8[Array, "B S T C"]:
    return jnp.round(pixels(images)).astype(jnp.uint8)


def _for_segmenter(images: Float[Array, "B S T C"], mean: Color, std: Color) -> Float[Array, "B S T 3"]:
    return standardise(jnp.broadcast_to(images, (*images.shape[:3], 3)), mean, std)
