"""GAN dissection: which units of a generator draw which things (Bau et al. 2019, arXiv:1811.10597).

python launch.py --experiment=gan/dissection  # dissection.html in the workdir
python launch.py --experiment=gan/dissection --dissect.layer=layer2 --dissect.concepts=classes

The first, seed 0, about 12 CPU minutes on two shared cores: 55 of 64 units agree with a concept, with IoU up to 0.36.
Of the area of dark objects 7.9 % is left without their ten units of largest α, and 51 to 157 % (mean 94 %) without ten
random ones, in five draws; of bright objects 0.4 %, against 30 to 98 % (mean 75 %). The segmenter's mean IoU on held-
out scenes is 0.94. Of eight units tried as artefacts on one half of the held-out scenes three were removed, which
lowers the Fréchet distance by the segmenter's features on the other half from 0.82 to 0.80.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxvision.data import segmentation as views
from jaxvision.data.inputs import Inputs
from jaxvision.data.latents import with_latents
from jaxvision.data.prepared import Prepared
from jaxvision.data.records import Record, Records, Source
from jaxvision.data.scenes import LUMA
from jaxvision.data.transforms import Transform, compose
from jaxvision.evals.dissection import Subject, dissect, effects_table, figures, remove_artefacts, under
from jaxvision.evals.frechet import frechet
from jaxvision.evals.segmentation import confusion
from jaxvision.models.dcgan import Discriminator
from jaxvision.models.layers import BatchNorm
from jaxvision.models.unet import UNet
from jaxvision.ops.images import normalise
from jaxvision.ops.interventions import chosen
from jaxvision.recipes.gan import ADAM, TINY, Match, Network, Play, draw_samples, learning
from jaxvision.tasks import collapse
from jaxvision.tasks.dissection import dissection, examining, networks, values
from jaxvision.tasks.extractor import Extractor
from jaxvision.tasks.gan import averaged
from jaxvision.tasks.segmentation import segmentation
from jaxvision.train.devices import first_batch
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Data, Experiment, Hook, Key, Predict, PyTree, Result, Stage, TrainState
from jaxvision.viz import dissection as viz
from jaxvision.viz import segmentation as segmentation_viz
from jaxvision.viz.grid import grid

FAST = dataclasses.replace(ADAM, lr=5e-4)  # for narrow players and a thousand steps
_SHADES = ("background", "dark", "bright")
_SHOWN = 6  # images in a picture


@dataclasses.dataclass(frozen=True)
class Dissect:
    """The segmenter that names things, and the search for the units that draw them."""

    concepts: Literal["shades", "classes"] = (
        "shades"  # shades: in grey, objects darker and brighter than the background
    )
    layer: str = "layer1"  # the generator's map whose units are looked at
    width: float = 0.25  # of the segmenter, fraction of U-Net's channels
    levels: int = 3  # of the segmenter, resolutions
    segmenter_steps: int = 400
    alpha_steps: int = 80  # of the interventions
    units: int = 10  # of a concept that are ablated and inserted together
    patch: int = 2  # cells of the layer, side of the places where units are inserted
    artefacts: int = 8  # units that agree with no concept, tried as artefacts
    segmenter: Optimizer = Optimizer(rule="adam", lr=0.003, schedule="cosine", warmup_steps=50)
    alpha: Optimizer = Optimizer(rule="adam", lr=0.03)


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=2048,size=64"  # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet
    batch_size: int = 64
    steps: int = 2500  # of the GAN
    eval_every: int = 500
    network: Network = Network()
    play: Play = Play(smooth=0.1)
    dissect: Dissect = Dissect()
    generator: Optimizer = FAST
    discriminator: Optimizer = FAST


PRESETS = {
    "quick": Config(),
    "paper": Config(  # the paper dissects progressive GANs of 256 pixels, which this generator is not
        data="tfds:oxford_iiit_pet",
        batch_size=128,
        steps=100_000,
        eval_every=10_000,
        network=Network(size=64, width=1.0, kernel=5),
        play=Play(),
        generator=ADAM,
        discriminator=ADAM,
        dissect=Dissect("classes", "layer2", 1.0, 5, 40_000, 10_000, units=20, artefacts=40),
    ),
    "smoke": Config(
        data="scenes:count=64,size=32",
        batch_size=8,
        steps=2,
        eval_every=1,
        network=TINY,
        dissect=Dissect(width=1 / 16, levels=2, segmenter_steps=2, alpha_steps=2, units=1, artefacts=1),
    ),
}


class Settings(Match, Protocol):
    """The fields that the Config of an experiment on dissected generators has."""

    @property
    def data(self) -> str: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def eval_every(self) -> int: ...

    @property
    def dissect(self) -> Dissect: ...


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a generator and a segmenter on the same images, then look for units that draw what the segmenter names."""
    setup = Setup(config, inputs)
    report = Hook("report", 0, partial(_report, setup))
    return Experiment((setup.players(), setup.segmenter(), setup.dissection((report,))))


@dataclasses.dataclass(frozen=True)
class Setup:
    """The stages up to a dissected generator: "players", "segmenter" and "dissection"."""

    config: Settings
    inputs: Inputs

    @cached_property
    def source(self) -> Source:
        """Images and label maps of the generator's size, with their concepts as classes."""
        given, size = self.inputs.source(self.config.data, "label_maps"), self.config.network.size
        whole = views.evaluate((size, size), fill=given.mean)
        shades = self.config.dissect.concepts == "shades"
        transform = compose(whole, _shaded) if shades else whole
        splits: dict[str, Records] = {name: Prepared(given[name], transform) for name in ("train", "val")}
        return Source(splits, _SHADES if shades else given.class_names, given.mean, given.std)

    @property
    def concepts(self) -> tuple[int, ...]:
        """The classes that units are looked for; of shades, the objects'."""
        return tuple(range(self.config.dissect.concepts == "shades", self.source.num_classes))

    def players(self) -> Stage:
        """The GAN."""
        of, every = self.config.network, self.config.eval_every
        task = learning(of.generator(), self.discriminator, self.config)
        hooks = (
            picture("samples", self.data("val"), draw_samples, every=every),
            collapse.alarm(self.config.play.objective, every=every),
        )
        return Stage("players", task, self.data("train"), self.config.steps, hooks)

    @cached_property
    def discriminator(self) -> Discriminator:
        of = self.config.network
        return Discriminator(of.size, of.width, of.kernel)

    def segmenter(self) -> Stage:
        """The network that names what is seen, and its figures on held-out images."""
        of, names = self.config.dissect, self.source.class_names
        tx = of.segmenter.make(of.segmenter_steps)
        task = segmentation(self.unet, tx, mean=self.source.mean, std=self.source.std)
        hooks = (
            evaluate((confusion(names),), self.data("val"), name="segmenter"),
            picture(
                "segmenter",
                self.data("val"),
                lambda outputs, batch: segmentation_viz.predictions(
                    batch["image"], batch["label_map"], outputs["classes"], names, most=_SHOWN
                ),
            ),
        )
        return Stage("segmenter", task, self.data("train"), of.segmenter_steps, hooks)

    @cached_property
    def unet(self) -> UNet:
        of = self.config.dissect
        return UNet(self.source.num_classes, levels=of.levels, width=of.width, dropout=0.0, norm=BatchNorm)

    def dissection(self, hooks: tuple[Hook, ...] = ()) -> Stage:
        """The search for the units of each concept."""
        of = self.config.dissect
        nets = networks(self.config.network.generator(), self.unet, self.source.mean, self.source.std)
        task = dissection(
            nets,
            of.alpha.make(of.alpha_steps),
            layer=of.layer,
            concepts=self.concepts,
            patch=of.patch,
            extract=_seen_by(self.unet, self.source),
        )
        return Stage("dissection", task, self.data("train"), of.alpha_steps, hooks, _examining)

    def data(self, split: str) -> Data:
        """Images and label maps with a latent beside each; a fresh one each time in training."""
        of = self.config.network
        transform: Transform = with_latents(compose(), of.latent_dim, of.prior)
        if split == "train":
            return self.inputs.train(self.source[split], transform, self.config.batch_size)
        return self.inputs.evaluate(self.source[split], transform, self.config.batch_size)


def _examining(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    segmenter = {"params": done["segmenter"].params, **done["segmenter"].model_state}
    return examining(state, generator=averaged(done["players"]), segmenter=segmenter, extractor=segmenter)


def _shaded(record: Record, rng: np.random.Generator) -> Record:
    """The image in grey. What is not background is dark or bright, pixel by pixel: below or above its median."""
    labels, luma = record["label_map"], record["image"] @ LUMA
    background = labels == 0
    middle = np.median(luma[background]) if background.any() else 127.5
    shades = np.where(background, 0, np.where(luma > middle, 2, 1)).astype(np.uint8)
    grey = np.rint(luma).astype(np.uint8)[..., None].repeat(3, axis=2)
    return {**record, "image": grey, "label_map": np.where(labels == views.UNLABELLED, labels, shades)}


def _seen_by(unet: UNet, source: Source) -> Extractor:
    """The mean of the segmenter's deepest map as features, and each class's share of the image."""

    def look(images: Float[Array, "B S S 3"]) -> Float[Array, "B S S 3"]:
        return normalise(images.astype(jnp.uint8), source.mean, source.std)

    def init(key: Key, images: jax.Array) -> PyTree:
        return unet.init(key, look(images), train=False)

    def apply(variables: PyTree, images: jax.Array) -> dict[str, jax.Array]:
        outputs: Any = unet.apply(variables, look(images), train=False)
        probabilities = jax.nn.softmax(outputs["logits"]).mean(axis=(1, 2))
        return {"features": outputs[f"down{unet.levels}"].mean(axis=(1, 2)), "probabilities": probabilities}

    return Extractor(init, apply)


def _report(setup: Setup, predict: Predict, state: TrainState) -> Result:
    """The page, the same as JSON, its figures, and what units to do without."""
    of, data = setup.config.dissect, {name: setup.data(name) for name in ("val[:50%]", "val[50%:]")}
    subject = Subject(
        partial(evaluate, data=data["val[:50%]"], name="dissection"),
        predict,
        state,
        setup.source.class_names,
        setup.concepts,
        np.asarray(state.params["alpha"]),
        np.asarray(values(state)),
        of.patch,
    )
    shown = first_batch(data["val[:50%]"])
    report = dissect(subject, shown, of.layer, units=of.units)
    nameless = [unit.number for unit in report.units if not unit.concept][: of.artefacts]
    return {
        **{f"dissection/{name}": value for name, value in figures(report).items()},
        "dissection/effects": effects_table(report),
        "dissection.html": viz.page(report),
        "dissection.json": viz.as_json(report),
        **_without_artefacts(subject, nameless, data),
    }


def _without_artefacts(subject: Subject, candidates: Sequence[int], data: dict[str, Data]) -> Result:
    """Units found on one half of the held-out images, without which samples come nearer to real ones; the distance by
    the segmenter's features on the other half, and the samples that change most.
    """
    size = subject.predict(subject.state, first_batch(data["val[:50%]"]))["presence"].shape[1:3]
    count, everywhere = subject.alpha.shape[1], np.ones((1, *size))

    def without(units: Sequence[int]) -> Predict:
        return under(subject.predict, chosen(units, count), np.zeros(count), everywhere)

    def distance(half: str, units: Sequence[int]) -> float:
        hook = evaluate((frechet("unet"),), data[half], name="artefacts")
        return float(hook.run(without(units), subject.state)["artefacts/fid_unet"])

    removed, _ = remove_artefacts(partial(distance, "val[:50%]"), candidates, most=len(candidates))
    shown = first_batch(data["val[50%:]"])
    before, after = (without(units)(subject.state, shown)["samples"] for units in ((), removed))
    rows = np.argsort(-np.abs(after.astype(int) - before).mean(axis=(1, 2, 3)), kind="stable")[:8]
    return {
        "artefacts/units": float(len(removed)),
        "artefacts/fid_unet_before": distance("val[50%:]", ()),
        "artefacts/fid_unet_after": distance("val[50%:]", removed),
        "artefacts/removed": grid(
            np.concatenate([before[rows], after[rows]]), len(rows), ["before"] * len(rows) + ["after"] * len(rows)
        ),
    }
