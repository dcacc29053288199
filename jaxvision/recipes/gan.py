"""The parts that the image GANs share: their settings, and the task and data made from them."""

import dataclasses
from functools import cached_property, partial
from typing import Literal, TypeVar

import flax.linen as nn
import numpy as np

from jaxvision.data import crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.latents import Prior, draw_latents, with_latents
from jaxvision.data.records import Source
from jaxvision.data.transforms import Transform, compose, horizontal_flip
from jaxvision.evals.latent_space import between
from jaxvision.losses.gan import Objective
from jaxvision.models.dcgan import Discriminator, Encoder, Generator, Rules
from jaxvision.models.precision import in_precision
from jaxvision.recipes.run_config import RunConfig
from jaxvision.tasks.extractor import Extractor
from jaxvision.tasks.gan import gan
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_gan_rates
from jaxvision.train.types import Batch, Data, PyTree, Sampler, Task
from jaxvision.viz import gan as viz


@dataclasses.dataclass(frozen=True)
class GanNetwork:
    """The sizes of a generator and of the networks that learn with it."""

    size: Literal[32, 64] = 32  # height and width of an image in pixels
    width: float = 0.25  # fraction of the paper's channels
    kernel: Literal[4, 5] = 4  # height and width of kernels; 5 is the paper's, 4 leaves no checkerboard
    latent_dim: int = 100  # numbers in a latent
    prior: Prior = "uniform"  # distribution of each number in a latent: U(-1, 1) or N(0, 1)
    rules: Rules = Rules()

    def generator(self, num_classes: int | None = None) -> Generator:
        """Return the generator; with `num_classes` it is given a label beside each latent."""
        return Generator(self.size, width=self.width, kernel=self.kernel, num_classes=num_classes, rules=self.rules)

    def discriminator(
        self,
        num_classes: int | None = None,
        condition: Literal["projection", "concat"] = "projection",
        latent_dim: int | None = None,
    ) -> Discriminator:
        """Return the discriminator.

        Args:
            num_classes: number of classes if it is given a label beside each image.
            condition: the way in which labels are used, see `models.dcgan.Discriminator`.
            latent_dim: numbers in a latent if it is given one beside each image.

        Returns:
            A model that takes images and returns "logits" [B].
        """
        return Discriminator(self.size, self.width, self.kernel, num_classes, condition, latent_dim, rules=self.rules)

    def encoder(self) -> Encoder:
        """Return a network that predicts a latent from an image."""
        return Encoder(self.latent_dim, self.size, self.width, self.kernel, rules=self.rules)


DCGAN_ADAM = Optimizer(rule="adam", lr=2e-4, momentum=0.5)  # both optimizers of Radford et al. 2016, section 4
FAST_DCGAN_ADAM = dataclasses.replace(DCGAN_ADAM, lr=5e-4)  # for networks of a quarter of the width, trained in minutes


@dataclasses.dataclass(frozen=True)
class GanRules:
    """The losses of generator and discriminator, and the averaging of the generator."""

    objective: Objective = "non_saturating"  # the pair of losses
    smooth: float = 0.0  # one-sided label smoothing: the target of real images is 1 - smooth
    discriminator_steps: int = 1  # discriminator steps for each generator step; they share the batch
    penalty: float = 0.0  # weight of the gradient penalty: 10 for wasserstein, with network.rules.batch_norm=generator
    average_decay: float = 0.999  # decay of the generator's moving average, which samples are drawn from
    sample_norm: Literal["running", "batch", "standing"] = (
        "running"  # batch statistics of the averaged generator: averaged too, the batch's own, or collected anew
    )


@dataclasses.dataclass(frozen=True)
class GanConfig(RunConfig):
    """The settings that every GAN on images has."""

    batch_size: int = 64  # real images in a training step, shared by its play.discriminator_steps discriminator steps
    steps: int = 1500  # training steps of the GAN
    eval_every: int = 500  # training steps between evaluations
    flip: bool = False  # mirror half of the training images, chosen at random
    judged_split: str = "val"  # split whose images samples are compared with, as many samples as it has images
    network: GanNetwork = GanNetwork()
    play: GanRules = GanRules()
    generator: Optimizer = DCGAN_ADAM
    discriminator: Optimizer = DCGAN_ADAM


C = TypeVar("C", bound=GanConfig)


def full_size(config: C, size: Literal[32, 64] = 64) -> C:
    """Return `config` with the networks, losses and schedule of Radford et al. 2016, section 4."""
    return dataclasses.replace(
        config,
        batch_size=128,
        steps=100_000,
        eval_every=10_000,
        network=GanNetwork(size, width=1.0, kernel=5),
        play=GanRules(),
        generator=DCGAN_ADAM,
        discriminator=DCGAN_ADAM,
    )


def smoke(config: C) -> C:
    """Return `config` for two steps of tiny networks."""
    return dataclasses.replace(config, steps=2, eval_every=1, network=GanNetwork(width=1 / 64, latent_dim=8))


@dataclasses.dataclass(frozen=True)
class GanSetup:
    """The parts of an experiment with a GAN, each made from its settings and its data."""

    source: Source
    config: GanConfig
    inputs: Inputs
    conditional: bool = False  # generator and discriminator are given labels

    def task(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        encoder: nn.Module | None = None,
        extract: Extractor | None = None,
    ) -> Task:
        """Return the task in which the networks learn against each other.

        Args:
            generator: model from latents to images.
            discriminator: model from images to logits.
            encoder: model from images to latents that learns beside the generator, as in BiGAN.
            extract: classifier whose features samples are compared by.

        Returns:
            The task of `tasks.gan.gan` with the losses and optimizers of the settings.
        """
        network, play, precision = self.config.network, self.config.play, self.inputs.precision
        task = gan(
            in_precision(generator, precision),
            in_precision(discriminator, precision),
            self.config.generator.make(self.config.steps),
            self.config.discriminator.make(self.config.steps * play.discriminator_steps),
            latent_dim=network.latent_dim,
            prior=network.prior,
            objective=play.objective,
            discriminator_steps=play.discriminator_steps,
            smooth=play.smooth,
            penalty=play.penalty,
            average_decay=play.average_decay,
            conditional=self.conditional,
            encoder=None if encoder is None else in_precision(encoder, precision),
            extract=extract,
            sample_norm=play.sample_norm,
        )
        return log_gan_rates(
            task, self.config.generator, self.config.discriminator, self.config.steps, play.discriminator_steps
        )

    def sampler(self) -> Sampler:
        """Return how latents are drawn for the generator."""
        network = self.config.network
        names = self.source.class_names if self.conditional else ()
        return Sampler(
            partial(draw_latents, dim=network.latent_dim, prior=network.prior),
            partial(between, prior=network.prior),
            tuple(names),
        )

    def train(self) -> Data:
        """Open the training split: the middle of each image, in batches."""
        transform = compose(self.crop, horizontal_flip()) if self.config.flip else self.crop
        return self.inputs.train(self.source["train"], transform, self.config.batch_size)

    def val(self) -> Data:
        """Open the split that samples are compared with: the middle of each image, and a latent to draw one from."""
        network = self.config.network
        transform = with_latents(self.crop, network.latent_dim, network.prior)
        return self.inputs.evaluate(self.source[self.config.judged_split], transform, self.config.batch_size)

    @cached_property
    def crop(self) -> Transform:
        """Return the transform that cuts the middle of an image at the generator's size."""
        return crops.center_crop(self.config.network.size, self.config.network.size)


def draw_samples(outputs: PyTree, batch: Batch) -> np.ndarray:
    """Draw samples beside real images."""
    return viz.samples(outputs["samples"], batch["image"])
