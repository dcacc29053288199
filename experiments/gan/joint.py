"""BiGAN, p(x, z): an encoder learns beside the generator (Donahue et al. 2017, arXiv:1605.09782; Dumoulin et al. 2017).

python launch.py --experiment=gan/joint
"""

import dataclasses

from jaxvision.data.inputs import Inputs
from jaxvision.models.dcgan import Discriminator, Encoder
from jaxvision.recipes.gan import ADAM, TINY, Network, Play, experiment
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, idx:DIR, folder:DIR, tfds:cifar10
    batch_size: int = 64  # times play.discriminator_steps
    steps: int = 1500
    eval_every: int = 500
    judge_steps: int = 300  # of the classifier that the samples are judged by
    network: Network = Network()
    play: Play = Play()
    generator: Optimizer = ADAM
    discriminator: Optimizer = ADAM


PRESETS = {
    "quick": Config(),
    "paper": Config(  # Radford et al. 2016, section 4
        data="tfds:celeb_a",
        batch_size=128,
        steps=100_000,
        eval_every=10_000,
        judge_steps=20_000,
        network=Network(size=64, width=1.0, kernel=5),
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
    """Train a generator and an encoder against a discriminator that is shown images with their latents."""
    source, of = inputs.source(config.data), config.network
    discriminator = Discriminator(of.size, of.width, of.kernel, latent_dim=of.latent_dim)
    encoder = Encoder(of.latent_dim, of.size, of.width, of.kernel)
    return experiment(of.generator(), discriminator, source, config, inputs, encoder=encoder)
