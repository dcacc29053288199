"""The stages of GAN inversion, which follow those of a dissection: settings, images to be inverted, stages, a picture.

Half of the images are drawn by the generator, from latents that are then to be found again; half are validation images.
"""

import contextlib
import dataclasses
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.data.latents import with_latents
from jaxvision.data.prepared import Prepared
from jaxvision.data.records import INDEX, Record
from jaxvision.data.transforms import compose
from jaxvision.evals.dissection import best, under
from jaxvision.evals.inversion import image_psnr, recovery
from jaxvision.models.precision import in_precision
from jaxvision.ops.interventions import chosen
from jaxvision.recipes.dissection import DissectionConfig, DissectionSetup
from jaxvision.tasks.dissection import values
from jaxvision.tasks.gan import averaged
from jaxvision.tasks.inversion import STAGES, Frozen, Searched, encoding, following, search
from jaxvision.train.devices import first_batch, to_host
from jaxvision.train.hooks import evaluate
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Batch, Data, Hook, Key, Predict, PyTree, Result, Stage, Task, TrainState
from jaxvision.viz.inversion import stages

SHOWN = 5  # images of each kind in the picture
EDITED = 2  # concepts in the picture


def _adam(lr: float) -> Optimizer:
    return Optimizer(rule="adam", lr=lr, schedule="cosine")


@dataclasses.dataclass(frozen=True)
class Invert:
    """The settings of the four stages "encoder", "latent", "layer" and "tuned" of `tasks.inversion`."""

    late: tuple[str, ...] = ("layer2", "bn2", "image")  # modules behind dissect.layer, whose weights are adjusted
    feature_weight: float = 0.05  # weight of the distance of the discriminator's maps; that of the pixels counts 1
    restarts: int = 3  # starting points of the search for a latent
    residual_l2: float = 0.01  # weight of the penalty on what is added to the layer's map
    weights_l2: float = 0.1  # weight of the penalty on changes of the generator's weights
    encoder_steps: int = 300  # training steps of the encoder
    latent_steps: int = 200  # steps of the search for latents
    layer_steps: int = 100  # steps of the search for what is added to the layer's map
    tuned_steps: int = 80  # steps in which the late modules' weights are adjusted
    encoder: Optimizer = _adam(0.002)
    latent: Optimizer = _adam(0.1)
    residual: Optimizer = _adam(0.03)
    weights: Optimizer = _adam(0.003)


@dataclasses.dataclass(frozen=True)
class InversionConfig(DissectionConfig):
    """The settings of a GAN that is dissected, and then inverted."""

    batch_size: int = 64  # images in a training step; also images to be inverted, half generated and half held out
    invert: Invert = Invert()


@dataclasses.dataclass(frozen=True)
class InversionSetup:
    """The stages that invert a dissected generator, each made from the settings and the data."""

    dissection: DissectionSetup
    config: InversionConfig

    def encoder(self) -> Stage:
        """Return the stage that trains an encoder from images to latents."""
        settings, network = self.config.invert, self.config.network
        tx = settings.encoder.make(settings.encoder_steps)
        encoder = in_precision(network.encoder(), self.dissection.inputs.precision)
        task = encoding(self._nets, encoder, tx, prior=network.prior)
        task = log_rate(task, settings.encoder, settings.encoder_steps)
        hooks, start = _hooks("encoder", self._targets), partial(_start, None, self._targets)
        return Stage("encoder", task, self.dissection.data("train"), settings.encoder_steps, hooks, start)

    def search(self, name: Searched, steps: int, optimizer: Optimizer, before: Stage, **fields: Any) -> Stage:
        """Return a stage that searches image by image, from where the stage before it ended.

        Args:
            name: the kind of search, which is the stage's name.
            steps: steps of the search.
            optimizer: settings of the gradient descent.
            before: the stage whose results it starts from.
            **fields: `restarts` or `l2` of `tasks.inversion.search`.

        Returns:
            The stage, whose hook measures how near the images come.
        """
        rows, prior = self._rows, self.config.network.prior
        task = search(self._nets, optimizer.make(steps), name, images=len(rows), prior=prior, **fields)
        task = log_rate(task, optimizer, steps)
        data = self.dissection.inputs.train(rows, _numbered, self.config.batch_size)  # every image in each batch
        return Stage(name, task, data, steps, _hooks(name, self._targets), partial(_start, before, self._targets))

    def edited(self, last: Stage, dissected: Stage) -> Stage:
        """Return the stage `last` with a picture of images edited by the units that stage `dissected` has found."""
        task = last.task._replace(init=partial(_init_with_units, last.task, dissected.task))
        shown = Hook("inversion", 0, partial(_picture, self.dissection, self._targets))
        return last._replace(task=task, hooks=(*last.hooks, shown))

    @cached_property
    def _nets(self) -> Frozen:
        settings, network, precision = self.config.invert, self.config.network, self.dissection.inputs.precision
        return Frozen(
            in_precision(network.generator(), precision),
            in_precision(network.discriminator(), precision),
            network.latent_dim,
            self.config.dissect.layer,
            settings.late,
            settings.feature_weight,
        )

    @cached_property
    def _rows(self) -> Prepared:
        """Open the images to be inverted, each with a latent.

        ValueError: there are fewer than a batch, so that one batch would hold an image twice.
        """
        network, size = self.config.network, self.config.batch_size
        if (count := len(self.dissection.source["val"])) < size:
            raise ValueError(f"--batch_size={size}: there are {count} held-out images to invert; give at most {count}")
        held_out = self.dissection.source[f"val[:{size}]"]
        return Prepared(held_out, with_latents(compose(), network.latent_dim, network.prior))

    @cached_property
    def _targets(self) -> Data:
        return self.dissection.inputs.evaluate(self._rows, _numbered, self.config.batch_size)


def _numbered(record: Record, rng: np.random.Generator) -> Record:
    """Mark every second record as generated: its target is the image that the generator draws of its latent."""
    index = record[INDEX]
    return {**record, "index": np.int32(index), "generated": np.bool_(index % 2 == 0)}


def _hooks(name: str, targets: Data) -> tuple[Hook, ...]:
    """Measure how near the images of this stage and of those before it come to their targets."""
    return (evaluate((recovery(_until(name)),), targets, name="inversion"),)


def _until(name: str) -> tuple[str, ...]:
    return STAGES[: STAGES.index(name) + 1]


def _start(before: Stage | None, targets: Data, state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Start a stage from the trained networks and from what all stages before it found."""
    players, found = done["players"], {}
    if before is not None:
        ended = done[before.name]
        found = {**ended.aux["found"], before.name: _found(before.task, targets, ended)}
    critic = {"params": players.params["discriminator"], **players.model_state["discriminator"]}
    state = following(state, averaged(players), critic, found)
    if "units" not in state.aux:
        return state
    dissected = done["dissection"]
    units = {"alpha": dissected.params["alpha"], "values": values(dissected)}
    return dataclasses.replace(state, aux={**state.aux, "units": units})


def _found(task: Task, targets: Data, state: TrainState) -> PyTree:
    """Return what a finished stage found for every image, in the order of their numbers, on every process."""
    predict, state, parts = jax.jit(task.predict), to_host(state), []
    with contextlib.closing(targets(0, 1)) as batches:
        for batch in batches:
            found = jax.device_get(predict(state, dict(batch))["found"])
            parts.append(jax.tree.map(lambda x: x[batch["_mask"]], {**found, "index": batch["index"]}))  # noqa: B023
    found = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    order = np.argsort(found.pop("index"))
    return jax.tree.map(lambda x: x[order], found)


def _init_with_units(task: Task, dissected: Task, key: Key, batch: Batch) -> TrainState:
    """Make a state that also has room for what the dissection finds of the layer's units."""
    shape = jax.eval_shape(dissected.init, key, batch).params["alpha"].shape
    state = task.init(key, batch)
    return dataclasses.replace(state, aux={**state.aux, "units": dict.fromkeys(("alpha", "values"), jnp.zeros(shape))})


def _picture(setup: DissectionSetup, targets: Data, predict: Predict, state: TrainState) -> Result:
    """Draw images after each stage, then without the units of a concept, and with them in the middle."""
    batch = first_batch(targets)
    outputs = predict(state, batch)
    images = {name: outputs[name] for name in STAGES} | _edited(setup, predict, state, batch)
    rows = np.concatenate([np.flatnonzero(batch["generated"] == kind)[:SHOWN] for kind in (True, False)])
    kinds = ["generated" if batch["generated"][row] else "held out" for row in rows]
    figures = {name: image_psnr(outputs[name], outputs["target"])[rows] for name in STAGES}
    shown = {name: each[rows] for name, each in images.items()}
    return {"inversion/stages": stages(outputs["target"][rows], kinds, shown, figures)}


def _edited(setup: DissectionSetup, predict: Predict, state: TrainState, batch: Batch) -> dict[str, np.ndarray]:
    """Return images without the units of a concept, and with those units inserted in the middle."""
    units, settings = jax.device_get(state.aux["units"]), setup.config.dissect
    everywhere = np.ones((1, *state.aux["found"]["layer"]["residual"].shape[1:3]))
    middle = np.zeros_like(everywhere)
    top, left = ((n - settings.patch) // 2 for n in middle.shape[1:])
    middle[:, top : top + settings.patch, left : left + settings.patch] = 1
    found: dict[str, np.ndarray] = {}
    for c, label in enumerate(setup.concepts[:EDITED]):
        name, members = setup.source.class_names[label], best(units["alpha"][c], settings.units)
        alpha, constants = chosen(members, units["alpha"].shape[1]), units["values"][c]
        for word, held, where in (("without", 0 * constants, everywhere), ("with", constants, middle)):
            found[f"{word} {name}"] = under(predict, alpha, held, where)(state, batch)["tuned"]
    return found
