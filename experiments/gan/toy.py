"""A GAN on points of the plane, on which mode collapse is seen (Goodfellow et al. 2014, arXiv:1406.2661).

python launch.py --experiment=gan/toy  # 8 of 8 modes, 92 % of samples within three sigma, 1.0 minute, two CPU cores
python launch.py --experiment=gan/toy --objective=minimax
"""

import dataclasses
from functools import partial
from typing import Literal

import jax
import numpy as np

from jaxvision.data import mixture
from jaxvision.data.inputs import Inputs
from jaxvision.data.latents import with_latents
from jaxvision.data.transforms import compose
from jaxvision.evals.gan import modes
from jaxvision.losses.gan import generator_loss
from jaxvision.models.mlp_gan import MLPDiscriminator, MLPGenerator
from jaxvision.tasks import collapse
from jaxvision.tasks.gan import gan
from jaxvision.train.hooks import evaluate, parameters, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Batch, Experiment, PyTree, TrainState
from jaxvision.viz import gan as viz


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "mixture"  # mixture[:modes=N,count=N]: Gaussians on a ring
    objective: Literal["minimax", "non_saturating", "least_squares", "hinge", "wasserstein"] = "non_saturating"
    penalty: float = 0.0  # weight of the gradient penalty, 10 for wasserstein
    smooth: float = 0.1  # taken off the target of real rows
    discriminator_steps: int = 1  # for each one of the generator; the batch is dealt out to them
    latent_dim: int = 16
    hidden: int = 128  # units of each of three layers
    batch_size: int = 256
    steps: int = 9000
    eval_every: int = 3000
    generator: Optimizer = Optimizer(rule="adam", lr=1e-3, momentum=0.5, schedule="cosine")
    discriminator: Optimizer = Optimizer(rule="adam", lr=1e-3, momentum=0.5, schedule="cosine")


PRESETS = {
    "quick": Config(),
    "paper": Config(steps=25_000, hidden=256),  # of no single paper: longer and wider
    "smoke": Config(data="mixture:count=64", hidden=8, batch_size=16, steps=2, eval_every=1),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train on a ring of Gaussians; count the modes that are covered and draw the samples."""
    source = inputs.source(config.data)
    means = mixture.means(source.num_classes)
    task = gan(
        MLPGenerator(config.hidden),
        MLPDiscriminator(config.hidden),
        config.generator.make(config.steps),
        config.discriminator.make(config.steps * config.discriminator_steps),
        latent_dim=config.latent_dim,
        prior="normal",
        objective=config.objective,
        discriminator_steps=config.discriminator_steps,
        smooth=config.smooth,
        penalty=config.penalty,
    )
    looks = with_latents(compose(), config.latent_dim, "normal")
    val = inputs.evaluate(source["val"], looks, config.batch_size)
    every = config.eval_every
    hooks = (
        evaluate((modes(means, mixture.SIGMA),), val, every=every),
        picture("samples", inputs.evaluate(source["val"], looks, len(source["val"])), partial(_draw, means=means)),
        parameters("generator_gradients", _gradients),
        collapse.alarm(config.objective, every=every),
    )
    return Experiment.single(task, inputs.train(source["train"], compose(), config.batch_size), config.steps, hooks)


def _draw(outputs: PyTree, batch: Batch, *, means: np.ndarray) -> np.ndarray:
    return viz.mixture(batch["image"], outputs["samples"], means, mixture.SIGMA)


def _gradients(state: TrainState) -> np.ndarray:
    """How hard the generator is pulled at each score: minimax lets go where the discriminator is sure."""
    scores = np.concatenate([np.geomspace(1e-4, 0.1, 100), np.linspace(0.1, 0.999, 200)[1:]])
    logits = np.log(scores / (1 - scores)).astype(np.float32)
    slopes = {}
    for objective in ("minimax", "non_saturating"):
        slope = jax.vmap(jax.grad(lambda logit: generator_loss(objective, logit[None])))  # noqa: B023
        slopes[objective] = np.asarray(slope(logits))
    return viz.generator_gradients(scores, slopes)
