"""BiGAN, p(x, z): an encoder learns beside the generator (Donahue et al. 2017, arXiv:1605.09782; Dumoulin et al. 2017).

python launch.py --experiment=gan/joint
"""

import dataclasses

from jaxvision.data.inputs import Inputs
from jaxvision.recipes.backbone import TINY
from jaxvision.recipes.gan import GanSetup, full_size, smoke
from jaxvision.recipes.gan_inception import judge_of
from jaxvision.recipes.gan_judge import JudgedGanConfig
from jaxvision.train.types import Experiment, Stage


@dataclasses.dataclass(frozen=True)
class Config(JudgedGanConfig):
    """Fields are flags; `quick` is the default preset."""


PRESETS = {
    "quick": Config(),
    "paper": full_size(Config(data="tfds:celeb_a", judge_steps=20_000)),
    "smoke": smoke(Config(data="digits:count=32", batch_size=16, judge_steps=2, judge=TINY)),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a judge of samples; then a BiGAN, whose discriminator sees pairs (x, z)."""
    setup, network = GanSetup(inputs.source(config.data), config, inputs), config.network
    judge = judge_of(setup, config)
    discriminator = network.discriminator(latent_dim=network.latent_dim)
    task = setup.task(network.generator(), discriminator, encoder=network.encoder(), extract=judge.extractor())
    train = Stage("train", task, setup.train(), config.steps, judge.hooks(), judge.start)
    return Experiment((*judge.stages(), train), sampler=setup.sampler())
