"""DCGAN (Radford, Metz & Chintala 2016, arXiv:1511.06434).

python launch.py --experiment=gan/dcgan
python launch.py --experiment=gan/dcgan --data=idx:fashion-mnist

Fréchet distance to held-out images by a classifier's features, seed 0, two shared cores: digits 6.6 (blurred noise:
41.6), 5 minutes; Fashion-MNIST 3.7 (73.2), 7.2 minutes of CPU time. With the paper's rates digits were at 10.2.
"""

import dataclasses

from jaxvision.data.inputs import Inputs
from jaxvision.recipes.backbone import TINY
from jaxvision.recipes.gan import FAST_DCGAN_ADAM, GanRules, GanSetup, full_size, smoke
from jaxvision.recipes.gan_judge import GanJudge, JudgedGanConfig, with_judge
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment, Stage


@dataclasses.dataclass(frozen=True)
class Config(JudgedGanConfig):
    """Fields are flags; `quick` is the default preset."""

    play: GanRules = GanRules(smooth=0.1)
    generator: Optimizer = FAST_DCGAN_ADAM
    discriminator: Optimizer = FAST_DCGAN_ADAM


PRESETS = {
    "quick": Config(),
    "paper": full_size(Config(data="tfds:celeb_a", judge_steps=20_000)),
    "smoke": smoke(Config(data="digits:count=32", batch_size=16, judge_steps=2, judge=TINY)),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a judge of samples; then a generator and a discriminator on the same images."""
    setup, network = GanSetup(inputs.source(config.data), config, inputs), config.network
    judge = GanJudge(setup, config.judge_steps, config.judge)
    task = setup.task(network.generator(), network.discriminator(), extract=judge.extractor())
    train = Stage("train", task, setup.train(), config.steps, judge.hooks(), with_judge)
    return Experiment((judge.stage(), train))
