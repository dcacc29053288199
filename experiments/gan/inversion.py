"""GAN inversion: given images as a generator would draw them, and edited there (Bau et al. 2019, arXiv:1910.11626).

python launch.py --experiment=gan/inversion
python launch.py --experiment=gan/inversion --dissect.layer=layer2 --invert.late=image

The first, seed 0, after the stages of gan/dissection, 2.4 CPU minutes on two shared cores; mean PSNR of 32 images, dB:

                    encoder   latent   layer   tuned
    its own            23.0     33.6    45.9    46.1
    held-out scenes    20.6     23.4    33.9    42.1

After 300 steps the encoder finds little more than the background; the search for the latent finds the objects.
"""

import contextlib
import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.gan.dissection import FAST, Dissect, Setup
from jaxvision.data.inputs import Inputs
from jaxvision.data.latents import with_latents
from jaxvision.data.prepared import Prepared
from jaxvision.data.records import INDEX, Record
from jaxvision.data.transforms import compose
from jaxvision.evals.dissection import best, under
from jaxvision.evals.inversion import psnr, recovery
from jaxvision.models.dcgan import Encoder
from jaxvision.ops.interventions import chosen
from jaxvision.recipes.gan import ADAM, TINY, Network, Play
from jaxvision.tasks.dissection import values
from jaxvision.tasks.gan import averaged
from jaxvision.tasks.inversion import STAGES, Frozen, Searched, encoding, following, search
from jaxvision.train.devices import first_batch, to_host
from jaxvision.train.hooks import evaluate
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import (
    Batch,
    Data,
    Experiment,
    Hook,
    Key,
    Predict,
    PyTree,
    Result,
    Stage,
    Task,
    TrainState,
)
from jaxvision.viz.inversion import stages

_SHOWN = 5  # images of each kind in the picture
_EDITED = 2  # concepts in the picture


def _adam(lr: float) -> Optimizer:
    return Optimizer(rule="adam", lr=lr, schedule="cosine")


@dataclasses.dataclass(frozen=True)
class Invert:
    """The four stages; see `tasks.inversion`."""

    late: tuple[str, ...] = ("layer2", "bn2", "image")  # modules behind dissect.layer, whose weights are adjusted
    feature_weight: float = 0.05  # of the distance of the discriminator's maps, beside that of the pixels
    restarts: int = 3  # starts of the search for a latent
    residual_l2: float = 0.01  # weight of what is added to the map
    weights_l2: float = 0.1  # weight of the change of weights
    encoder_steps: int = 300
    latent_steps: int = 200
    layer_steps: int = 100
    tuned_steps: int = 80
    encoder: Optimizer = _adam(0.002)
    latent: Optimizer = _adam(0.1)
    residual: Optimizer = _adam(0.03)
    weights: Optimizer = _adam(0.003)


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=2048,size=64"  # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet
    batch_size: int = 64  # also of the images that are inverted: half of them drawn by the generator, half held out
    steps: int = 2500  # of the GAN
    eval_every: int = 500
    network: Network = Network()
    play: Play = Play(smooth=0.1)
    dissect: Dissect = Dissect()
    invert: Invert = Invert()
    generator: Optimizer = FAST
    discriminator: Optimizer = FAST


PRESETS = {
    "quick": Config(),
    "paper": Config(  # the paper inverts progressive GANs of 256 pixels, which this generator is not
        data="tfds:oxford_iiit_pet",
        batch_size=128,
        steps=100_000,
        eval_every=10_000,
        network=Network(size=64, width=1.0, kernel=5),
        play=Play(),
        generator=ADAM,
        discriminator=ADAM,
        dissect=Dissect("classes", "layer2", 1.0, 5, 40_000, 10_000, units=20),
        invert=Invert(("layer3", "bn3", "image"), 0.05, 8, 0.01, 0.1, 50_000, 3000, 1500, 1000),
    ),
    "smoke": Config(
        data="scenes:count=64,size=32",
        batch_size=8,
        steps=2,
        eval_every=1,
        network=TINY,
        dissect=Dissect(width=1 / 16, levels=2, segmenter_steps=2, alpha_steps=2, units=1),
        invert=Invert(restarts=2, encoder_steps=2, latent_steps=2, layer_steps=2, tuned_steps=2),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train and dissect a generator; then look for what makes it draw images of its own, and real ones it never saw."""
    setup, of, network = Setup(config, inputs), config.invert, config.network
    nets = Frozen(
        network.generator(), setup.discriminator, network.latent_dim, config.dissect.layer, of.late, of.feature_weight
    )
    dissected = setup.dissection()
    rows = _rows(setup)
    targets = inputs.evaluate(rows, _numbered, config.batch_size)
    every_row = inputs.train(rows, _numbered, config.batch_size)  # all of them in each batch

    def stage(name: Searched, steps: int, optimizer: Optimizer, before: Stage, **fields: Any) -> Stage:
        tx = optimizer.make(steps)
        task = search(nets, tx, name, images=len(rows), prior=network.prior, **fields)
        return Stage(name, task, every_row, steps, _hooks(name, targets), partial(_start, before, targets))

    task = encoding(nets, _encoder(config), of.encoder.make(of.encoder_steps), prior=network.prior)
    hooks, start = _hooks("encoder", targets), partial(_start, None, targets)
    encoder = Stage("encoder", task, setup.data("train"), of.encoder_steps, hooks, start)
    latent = stage("latent", of.latent_steps, of.latent, encoder, restarts=of.restarts)
    layer = stage("layer", of.layer_steps, of.residual, latent, l2=of.residual_l2)
    tuned = stage("tuned", of.tuned_steps, of.weights, layer, l2=of.weights_l2)
    shown = Hook("inversion", 0, partial(_picture, setup, targets))
    tuned = tuned._replace(
        task=tuned.task._replace(init=partial(_with_units, tuned.task, dissected.task)), hooks=(*tuned.hooks, shown)
    )
    return Experiment((setup.players(), setup.segmenter(), dissected, encoder, latent, layer, tuned))


def _encoder(config: Config) -> Encoder:
    of = config.network
    return Encoder(of.latent_dim, of.size, of.width, of.kernel)


def _rows(setup: Setup) -> Prepared:
    """The images to be inverted, each with a latent of its own."""
    of = setup.config.network
    held_out = setup.source[f"val[:{setup.config.batch_size}]"]
    return Prepared(held_out, with_latents(compose(), of.latent_dim, of.prior))


def _numbered(record: Record, rng: np.random.Generator) -> Record:
    """Every second one stands for what the generator draws of its latent."""
    index = record[INDEX]
    return {**record, "index": np.int32(index), "generated": np.bool_(index % 2 == 0)}


def _hooks(name: str, targets: Data) -> tuple[Hook, ...]:
    """How near this stage and those before it come."""
    return (evaluate((recovery(_until(name)),), targets, name="inversion"),)


def _until(name: str) -> tuple[str, ...]:
    return STAGES[: STAGES.index(name) + 1]


def _start(before: Stage | None, targets: Data, state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """A stage goes on from the networks, from what the stage before it found, and from what those before that did."""
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
    """What a stage found for every image, by its number. Each process looks at all of them."""
    look, state, parts = jax.jit(task.predict), to_host(state), []
    with contextlib.closing(targets(0, 1)) as batches:
        for batch in batches:
            found = jax.device_get(look(state, dict(batch))["found"])
            parts.append(jax.tree.map(lambda x: x[batch["_mask"]], {**found, "index": batch["index"]}))  # noqa: B023
    found = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    order = np.argsort(found.pop("index"))
    return jax.tree.map(lambda x: x[order], found)


def _with_units(task: Task, dissected: Task, key: Key, batch: Batch) -> TrainState:
    """The state that also has room for what the dissection found of the layer's units."""
    shape = jax.eval_shape(dissected.init, key, batch).params["alpha"].shape
    state = task.init(key, batch)
    return dataclasses.replace(state, aux={**state.aux, "units": dict.fromkeys(("alpha", "values"), jnp.zeros(shape))})


def _picture(setup: Setup, targets: Data, predict: Predict, state: TrainState) -> Result:
    """Images through all stages, then without the units of a concept, and with them in the middle."""
    batch = first_batch(targets)
    outputs = predict(state, batch)
    images = {name: outputs[name] for name in STAGES} | _edited(setup, predict, state, batch)
    rows = np.concatenate([np.flatnonzero(batch["generated"] == kind)[:_SHOWN] for kind in (True, False)])
    kinds = ["generated" if batch["generated"][row] else "held out" for row in rows]
    figures = {name: psnr(outputs[name], outputs["target"])[rows] for name in STAGES}
    shown = {name: each[rows] for name, each in images.items()}
    return {"inversion/stages": stages(outputs["target"][rows], kinds, shown, figures)}


def _edited(setup: Setup, predict: Predict, state: TrainState, batch: Batch) -> dict[str, np.ndarray]:
    """The images without the units of a concept anywhere, and with them held, in the middle, at what draws it."""
    units, of = jax.device_get(state.aux["units"]), setup.config.dissect
    everywhere = np.ones((1, *state.aux["found"]["layer"]["residual"].shape[1:3]))
    middle = np.zeros_like(everywhere)
    top, left = ((n - of.patch) // 2 for n in middle.shape[1:])
    middle[:, top : top + of.patch, left : left + of.patch] = 1
    found: dict[str, np.ndarray] = {}
    for c, label in enumerate(setup.concepts[:_EDITED]):
        name, members = setup.source.class_names[label], best(units["alpha"][c], of.units)
        alpha, constants = chosen(members, units["alpha"].shape[1]), units["values"][c]
        for word, held, where in (("without", 0 * constants, everywhere), ("with", constants, middle)):
            found[f"{word} {name}"] = under(predict, alpha, held, where)(state, batch)["tuned"]
    return found
