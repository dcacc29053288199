"""The parts that experiments on dissected generators share: settings, images with concepts, and three stages.

The stages are "players", which trains the GAN; "segmenter", which trains the network that finds concepts in images; and
"dissection", which searches for the units of one layer of the generator that draw each concept (Bau et al. 2019).
"""

import dataclasses
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxvision.data import segmentation as transforms
from jaxvision.data.inputs import Inputs
from jaxvision.data.latents import with_latents
from jaxvision.data.prepared import Prepared
from jaxvision.data.records import Record, Records, Source
from jaxvision.data.scenes import LUMA
from jaxvision.data.transforms import compose
from jaxvision.evals.segmentation import confusion
from jaxvision.models.layers import BatchNorm
from jaxvision.models.precision import in_precision
from jaxvision.models.unet import UNet
from jaxvision.ops.images import normalise
from jaxvision.recipes.gan import FAST_DCGAN_ADAM, GanConfig, GanRules, GanSetup, draw_samples
from jaxvision.recipes.segmentation import draw_predictions
from jaxvision.tasks import collapse
from jaxvision.tasks.dissection import dissection, examining, networks
from jaxvision.tasks.extractor import Extractor
from jaxvision.tasks.gan import averaged
from jaxvision.tasks.segmentation import segmentation
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.steps import as_float32
from jaxvision.train.types import Data, Hook, Key, PyTree, Stage, TrainState

SHADES = ("background", "dark", "bright")


@dataclasses.dataclass(frozen=True)
class Dissect:
    """The settings of the segmenter, and of the search for the units that draw each concept."""

    concepts: Literal["shades", "classes"] = (
        "shades"  # shades: in grey images, objects darker and brighter than the background; classes: the data's own
    )
    layer: str = "layer1"  # layer of the generator whose units are examined
    width: float = 0.25  # segmenter: fraction of U-Net's channels
    levels: int = 3  # segmenter: number of resolutions
    segmenter_steps: int = 400  # training steps of the segmenter
    alpha_steps: int = 80  # training steps of the interventions
    units: int = 10  # units of a concept that are ablated or inserted together
    patch: int = 2  # height and width, in cells of the layer, of a square where units are inserted
    artefacts: int = 8  # units that agree with no concept, tried as causes of artefacts
    segmenter: Optimizer = Optimizer(rule="adam", lr=0.003, schedule="cosine", warmup_steps=50)
    alpha: Optimizer = Optimizer(rule="adam", lr=0.03)


@dataclasses.dataclass(frozen=True)
class DissectionConfig(GanConfig):
    """The settings of a GAN on images with label maps that is dissected afterwards."""

    data: str = "scenes:count=2048,size=64"  # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet
    steps: int = 2500  # training steps of the GAN
    play: GanRules = GanRules(smooth=0.1)
    dissect: Dissect = Dissect()
    generator: Optimizer = FAST_DCGAN_ADAM
    discriminator: Optimizer = FAST_DCGAN_ADAM


def concept_source(config: DissectionConfig, inputs: Inputs) -> Source:
    """Open the images and label maps of `config.data` at the generator's size, with the concepts as classes."""
    source, size = inputs.source(config.data, "label_maps"), config.network.size
    whole = transforms.evaluate((size, size), fill=source.mean)
    shades = config.dissect.concepts == "shades"
    transform = compose(whole, shaded) if shades else whole
    splits: dict[str, Records] = {name: Prepared(source[name], transform) for name in ("train", "val")}
    return Source(splits, SHADES if shades else source.class_names, source.mean, source.std)


@dataclasses.dataclass(frozen=True)
class DissectionSetup:
    """The stages up to a dissected generator, each made from the settings and the data."""

    source: Source  # as `concept_source` opens it
    config: DissectionConfig
    inputs: Inputs

    @property
    def concepts(self) -> tuple[int, ...]:
        """Return the classes that units are searched for: all, without the background of shades."""
        return tuple(range(self.config.dissect.concepts == "shades", self.source.num_classes))

    def players(self) -> Stage:
        """Return the stage that trains the GAN. ValueError: a flag is set that only a GAN with a judge uses."""
        if self.config.flip or self.config.judged_split != GanConfig.judged_split:
            raise ValueError(
                "--flip and --judged_split: a GAN that is dissected learns from images and label maps as they are, and "
                "has no judge; leave them out"
            )
        network, every = self.config.network, self.config.eval_every
        gan = GanSetup(self.source, self.config, self.inputs)
        hooks = (
            picture("samples", self.data("val"), draw_samples, every=every),
            collapse.alarm(self.config.play.objective, every=every),
        )
        task = gan.task(network.generator(), network.discriminator())
        return Stage("players", task, self.data("train"), self.config.steps, hooks)

    def segmenter(self) -> Stage:
        """Return the stage that trains the segmenter, measures it on validation images and draws predictions."""
        settings, names = self.config.dissect, self.source.class_names
        tx = settings.segmenter.make(settings.segmenter_steps)
        task = segmentation(self._unet, tx, mean=self.source.mean, std=self.source.std)
        task = log_rate(task, settings.segmenter, settings.segmenter_steps)
        hooks = (
            evaluate((confusion(names),), self.data("val"), name="segmenter"),
            picture("segmenter", self.data("val"), partial(draw_predictions, class_names=names)),
        )
        return Stage("segmenter", task, self.data("train"), settings.segmenter_steps, hooks)

    def dissection(self, hooks: tuple[Hook, ...] = ()) -> Stage:
        """Return the stage that learns how strongly each unit draws each concept, with `hooks` at its end."""
        settings = self.config.dissect
        generator = in_precision(self.config.network.generator(), self.inputs.precision)
        nets = networks(generator, self._unet, self.source.mean, self.source.std)
        task = dissection(
            nets,
            settings.alpha.make(settings.alpha_steps),
            layer=settings.layer,
            concepts=self.concepts,
            patch=settings.patch,
            extract=_segmenter_features(self._unet, self.source),
        )
        task = log_rate(task, settings.alpha, settings.alpha_steps)
        return Stage("dissection", task, self.data("train"), settings.alpha_steps, hooks, _with_networks)

    def data(self, split: str) -> Data:
        """Open a split: images and label maps with a latent beside each, in training a new one each time."""
        network = self.config.network
        transform = with_latents(compose(), network.latent_dim, network.prior)
        opened = self.inputs.train if split == "train" else self.inputs.evaluate
        return opened(self.source[split], transform, self.config.batch_size)

    @cached_property
    def _unet(self) -> UNet:
        settings = self.config.dissect
        classes, levels, width = self.source.num_classes, settings.levels, settings.width
        unet = UNet(classes, levels=levels, width=width, dropout=0.0, norm=BatchNorm)
        return in_precision(unet, self.inputs.precision)


def shaded(record: Record, rng: np.random.Generator) -> Record:
    """Return the record in grey, with dark and bright pixels as the classes of `SHADES`.

    Of the pixels that are not background, those are bright that are brighter than the background's median.

    Args:
        record: "image" uint8 [H, W, 3] and "label_map" uint8 [H, W], in which 0 is background.
        rng: not used.
    """
    labels, luma = record["label_map"], record["image"] @ LUMA
    background = labels == 0
    middle = np.median(luma[background]) if background.any() else 127.5
    shades = np.where(background, 0, np.where(luma > middle, 2, 1)).astype(np.uint8)
    grey = np.rint(luma).astype(np.uint8)[..., None].repeat(3, axis=2)
    return {**record, "image": grey, "label_map": np.where(labels == transforms.UNLABELLED, labels, shades)}


def _with_networks(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    segmenter = {"params": done["segmenter"].params, **done["segmenter"].model_state}
    return examining(state, generator=averaged(done["players"]), segmenter=segmenter, extractor=segmenter)


def _segmenter_features(unet: UNet, source: Source) -> Extractor:
    """Use the mean of the segmenter's deepest map as features, and each class's share of the image as probability."""

    def normalised(images: Float[Array, "B S S 3"]) -> Float[Array, "B S S 3"]:
        return normalise(images.astype(jnp.uint8), source.mean, source.std)

    def init(key: Key, images: jax.Array) -> PyTree:
        return unet.init(key, normalised(images), train=False)

    def apply(variables: PyTree, images: jax.Array) -> dict[str, jax.Array]:
        outputs: Any = as_float32(unet.apply(variables, normalised(images), train=False))
        probabilities = jax.nn.softmax(outputs["logits"]).mean(axis=(1, 2))
        return {"features": outputs[f"down{unet.levels}"].mean(axis=(1, 2)), "probabilities": probabilities}

    return Extractor(init, apply)
