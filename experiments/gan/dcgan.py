"""DCGAN (Radford, Metz & Chintala 2016, arXiv:1511.06434).

python launch.py --experiment=gan/dcgan
python launch.py --experiment=gan/dcgan --data=idx:fashion-mnist

Fréchet distance to held-out images by a classifier's features, seed 0, two shared cores: digits 6.6 (blurred noise:
41.6), 5 minutes; Fashion-MNIST 3.7 (73.2), 7.2 minutes of CPU time. With the paper's rates digits were at 10.2.
"""

import dataclasses

from jaxvision.data.inputs import Inputs
from jaxvision.models.dcgan import Discriminator
from jaxvision.recipes.gan import ADAM, TINY, Network, Play, experiment
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment

FAST = dataclasses.replace(ADAM, lr=5e-4)  # what a network of a quarter of the width learns from in minutes


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, idx:DIR, folder:DIR, tfds:cifar10
    batch_size: int = 64  # times play.discriminator_steps
    steps: int = 1500
    eval_every: int = 500
    judge_steps: int = 300  # of the classifier that the samples are judged by
    network: Network = Network()
    play: Play = Play(smooth=0.1)
    generator: Optimizer = FAST
    discriminator: Optimizer = FAST


PRESETS = {
    "quick": Config(),
    "paper": Config(  # Radford et al. 2016, section 4
        data="tfds:celeb_a",
        batch_size=128,
        steps=100_000,
        eval_every=10_000,
        judge_steps=20_000,
        network=Network(size=64, width=1.0, kernel=5),
        play=Play(),
        generator=ADAM,
        discriminator=ADAM,
    ),
    "smoke": Config(
        data="digits:count=32",
        batch_size=16,
        steps=2,
        eval_every=1,
        judge_steps=2,
        network=TINY,
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a generator and a discriminator on images."""
    source, of = inputs.source(config.data), config.network
    return experiment(of.generator(), Discriminator(of.size, of.width, of.kernel), source, config, inputs)
