"""DCGAN (Radford, Metz & Chintala 2016, arXiv:1511.06434).

python launch.py --experiment=gan/dcgan
python launch.py --experiment=gan/dcgan --data=idx:fashion-mnist
python launch.py --experiment=gan/dcgan --preset=cifar10 --extractor=inception:pt_inception-2015-12-05-6726825d.pth

Fréchet distance to held-out images by a classifier's features, seed 0, two shared cores: digits 6.6 (blurred noise:
41.6), 5 minutes; Fashion-MNIST 3.7 (73.2), 7.2 minutes of CPU time. With the paper's rates digits were at 10.2.
"""

import dataclasses
from typing import Literal

import flax.linen as nn

from jaxvision.data.inputs import Inputs
from jaxvision.models.dcgan import Rules
from jaxvision.models.studio_gan import SIZE, StudioDiscriminator, StudioGenerator
from jaxvision.recipes.backbone import TINY
from jaxvision.recipes.gan import DCGAN_ADAM, FAST_DCGAN_ADAM, GanNetwork, GanRules, GanSetup, full_size, smoke
from jaxvision.recipes.gan_inception import judge_of
from jaxvision.recipes.gan_judge import JudgedGanConfig
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment, Stage


@dataclasses.dataclass(frozen=True)
class Config(JudgedGanConfig):
    """Fields are flags; `quick` is the default preset."""

    networks: Literal["dcgan", "studiogan"] = "dcgan"  # the paper's, or those of 32 pixels in StudioGAN's table
    play: GanRules = GanRules(smooth=0.1)
    generator: Optimizer = FAST_DCGAN_ADAM
    discriminator: Optimizer = FAST_DCGAN_ADAM


PRESETS = {
    "quick": Config(),
    "paper": full_size(Config(data="tfds:celeb_a", judge_steps=20_000)),
    # CIFAR-10 as PyTorch-StudioGAN's DCGAN: two discriminator updates of 64 images a step, mirrored images, no average
    # of the generator. Its table compares 50,000 samples with the training images, by --extractor=inception:FILE.
    "cifar10": Config(
        data="tfds:cifar10",
        batch_size=128,
        steps=200_000,
        eval_every=20_000,
        flip=True,
        judged_split="train",
        judge_steps=20_000,
        networks="studiogan",
        network=GanNetwork(32, width=1.0, latent_dim=128, prior="normal"),
        play=GanRules(discriminator_steps=2, average_decay=0.0),
        generator=DCGAN_ADAM,
        discriminator=DCGAN_ADAM,
    ),
    "smoke": smoke(Config(data="digits:count=32", batch_size=16, judge_steps=2, judge=TINY)),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a judge of samples; then a generator and a discriminator on the same images."""
    setup = GanSetup(inputs.source(config.data), config, inputs)
    judge = judge_of(setup, config)
    generator, discriminator = _networks(config)
    task = setup.task(generator, discriminator, extract=judge.extractor())
    train = Stage("train", task, setup.train(), config.steps, judge.hooks(), judge.start)
    return Experiment((*judge.stages(), train), sampler=setup.sampler())


def _networks(config: Config) -> tuple[nn.Module, nn.Module]:
    """Return generator and discriminator. ValueError: StudioGAN's with another size than theirs, or broken rules."""
    network = config.network
    if config.networks == "dcgan":
        return network.generator(), network.discriminator()
    if network.size != SIZE:
        raise ValueError(f"--network.size={network.size}: StudioGAN's networks are of {SIZE} pixels")
    if network.rules != Rules():
        raise ValueError("--network.rules are those of DCGAN's networks: leave out --networks=studiogan")
    return StudioGenerator(network.width), StudioDiscriminator(network.width)
