"""A GAN on points of the plane, which shows mode collapse (Goodfellow et al. 2014, arXiv:1406.2661).

python launch.py --experiment=gan/toy  # 8 of 8 modes, 92 % of samples within three sigma, 1.0 minute, two CPU cores
python launch.py --experiment=gan/toy --objective=minimax
"""

import dataclasses
from functools import partial

import jax
import numpy as np

from jaxvision.data import mixture
from jaxvision.data.inputs import Inputs
from jaxvision.data.latents import with_latents
from jaxvision.data.transforms import compose
from jaxvision.evals.gan import modes
from jaxvision.losses.gan import Objective, generator_loss
from jaxvision.models.mlp_gan import MLPDiscriminator, MLPGenerator
from jaxvision.models.precision import in_precision
from jaxvision.recipes.run_config import RunConfig
from jaxvision.tasks import collapse
from jaxvision.tasks.gan import gan
from jaxvision.train.hooks import evaluate, parameters, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_gan_rates
from jaxvision.train.types import Batch, Experiment, PyTree, TrainState
from jaxvision.viz import gan as viz

TOY_ADAM = Optimizer(rule="adam", lr=1e-3, momentum=0.5, schedule="cosine")


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """Fields are flags; `quick` is the default preset."""

    data: str = "mixture"  # mixture[:modes=N,count=N]: Gaussians on a ring
    objective: Objective = "non_saturating"  # the pair of losses of generator and discriminator
    penalty: float = 0.0  # weight of the gradient penalty, 10 for wasserstein
    smooth: float = 0.1  # one-sided label smoothing: the target of real points is 1 - smooth
    discriminator_steps: int = 1  # discriminator steps for each generator step; they share the batch
    latent_dim: int = 16  # numbers in a latent
    hidden: int = 128  # units of each of three layers
    batch_size: int = 256  # real points in a training step
    steps: int = 9000  # training steps
    eval_every: int = 3000  # training steps between evaluations
    generator: Optimizer = TOY_ADAM
    discriminator: Optimizer = TOY_ADAM


PRESETS = {
    "quick": Config(),
    "paper": Config(steps=25_000, hidden=256),  # of no single paper: longer and wider
    "smoke": Config(data="mixture:count=64", hidden=8, batch_size=16, steps=2, eval_every=1),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a GAN on a ring of Gaussians; count the modes that its samples cover and draw the samples."""
    source = inputs.source(config.data)
    centers = mixture.centers(source.num_classes)
    task = gan(
        in_precision(MLPGenerator(config.hidden), inputs.precision),
        in_precision(MLPDiscriminator(config.hidden), inputs.precision),
        config.generator.make(config.steps),
        config.discriminator.make(config.steps * config.discriminator_steps),
        latent_dim=config.latent_dim,
        prior="normal",
        objective=config.objective,
        discriminator_steps=config.discriminator_steps,
        smooth=config.smooth,
        penalty=config.penalty,
    )
    task = log_gan_rates(task, config.generator, config.discriminator, config.steps, config.discriminator_steps)
    transform = with_latents(compose(), config.latent_dim, "normal")
    val = inputs.evaluate(source["val"], transform, config.batch_size)
    every = config.eval_every
    hooks = (
        evaluate((modes(centers, mixture.SIGMA),), val, every=every),
        picture(
            "samples", inputs.evaluate(source["val"], transform, len(source["val"])), partial(_draw, centers=centers)
        ),
        parameters("generator_gradients", _gradients),
        collapse.alarm(config.objective, every=every),
    )
    return Experiment.single(task, inputs.train(source["train"], compose(), config.batch_size), config.steps, hooks)


def _draw(outputs: PyTree, batch: Batch, *, centers: np.ndarray) -> np.ndarray:
    return viz.mixture(batch["image"], outputs["samples"], centers, mixture.SIGMA)


def _gradients(state: TrainState) -> np.ndarray:
    """Plot the gradient of the generator's loss over the discriminator's score: minimax's vanishes at sure scores."""
    scores = np.concatenate([np.geomspace(1e-4, 0.1, 100), np.linspace(0.1, 0.999, 200)[1:]])
    logits = np.log(scores / (1 - scores)).astype(np.float32)
    slopes = {}
    for objective in ("minimax", "non_saturating"):
        slope = jax.vmap(jax.grad(lambda logit: generator_loss(objective, logit[None])))  # noqa: B023
        slopes[objective] = np.asarray(slope(logits))
    return viz.generator_gradients(scores, slopes)
