"""What the image GANs share: players, a classifier that judges the samples, figures and pictures."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Literal, Protocol, runtime_checkable

import flax.linen as nn
import numpy as np

from jaxvision.data import crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.latents import with_latents
from jaxvision.data.records import Source
from jaxvision.evals.classification import accuracy
from jaxvision.evals.feature_sets import kid, precision_recall
from jaxvision.evals.frechet import frechet
from jaxvision.evals.gan import class_accuracy, inception_score, of_blurred_noise
from jaxvision.evals.latent_space import between
from jaxvision.losses.gan import Objective
from jaxvision.models.dcgan import Generator
from jaxvision.models.resnet import ResNet
from jaxvision.recipes.settings import Run
from jaxvision.tasks import collapse
from jaxvision.tasks.classification import classification
from jaxvision.tasks.extractor import Extractor, classifier, judged_by
from jaxvision.tasks.gan import Prior, gan
from jaxvision.train.devices import first_batch
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Batch, Data, Experiment, Hook, Predict, PyTree, Result, Stage, Task, TrainState
from jaxvision.viz import gan as viz

JUDGE = "resnet18"  # the classifier's name in metric keys: trained here, on the same images
_STEPS = 8  # samples on the way from one latent to another


@dataclasses.dataclass(frozen=True)
class Network:
    """The two players."""

    size: Literal[32, 64] = 32  # pixels
    width: float = 0.25  # fraction of the paper's channels
    kernel: Literal[4, 5] = 4  # 5 is the paper's, 4 leaves no checkerboard
    latent_dim: int = 100
    prior: Prior = "uniform"  # of latents: U(-1, 1) or N(0, 1)

    def generator(self, num_classes: int | None = None) -> Generator:
        """Conditional where there are classes."""
        return Generator(self.size, width=self.width, kernel=self.kernel, num_classes=num_classes)


TINY = Network(width=1 / 64, latent_dim=8)  # of the preset `smoke`
ADAM = Optimizer(rule="adam", lr=2e-4, momentum=0.5)  # of both players (Radford et al. 2016, section 4)


@dataclasses.dataclass(frozen=True)
class Play:
    """The rules."""

    objective: Objective = "non_saturating"
    smooth: float = 0.0  # taken off the target of real images
    discriminator_steps: int = 1  # for each one of the generator; the batch is dealt out to them
    average_decay: float = 0.999  # of the generator that samples are drawn from
    sample_norm: Literal["running", "batch", "standing"] = "running"  # its batch statistics


@runtime_checkable
class Match(Protocol):
    """The fields of a Config that say how the players learn."""

    @property
    def steps(self) -> int: ...

    @property
    def network(self) -> Network: ...

    @property
    def play(self) -> Play: ...

    @property
    def generator(self) -> Optimizer: ...

    @property
    def discriminator(self) -> Optimizer: ...


@runtime_checkable
class Settings(Match, Run, Protocol):
    """The fields that the Config of an image GAN with a judge has."""

    @property
    def judge_steps(self) -> int: ...


def learning(
    generator: nn.Module,
    discriminator: nn.Module,
    config: Match,
    *,
    conditional: bool = False,
    encoder: nn.Module | None = None,
    extract: Extractor | None = None,
) -> Task:
    """The players' task, by the rules of `config`; see `tasks.gan`."""
    network, play = config.network, config.play
    return gan(
        generator,
        discriminator,
        config.generator.make(config.steps),
        config.discriminator.make(config.steps * play.discriminator_steps),
        latent_dim=network.latent_dim,
        prior=network.prior,
        objective=play.objective,
        discriminator_steps=play.discriminator_steps,
        smooth=play.smooth,
        average_decay=play.average_decay,
        conditional=conditional,
        encoder=encoder,
        extract=extract,
        sample_norm=play.sample_norm,
    )


def experiment(
    generator: nn.Module,
    discriminator: nn.Module,
    source: Source,
    config: Settings,
    inputs: Inputs,
    *,
    conditional: bool = False,
    encoder: nn.Module | None = None,
) -> Experiment:
    """First a classifier on the same images, by whose features samples are then compared with real ones."""
    size, network = config.network.size, config.network
    judge = ResNet(source.num_classes, 18, stem="cifar", width=0.25)
    whole = crops.center_crop(size, size)
    extract = classifier(judge, source.mean, source.std)
    task = learning(generator, discriminator, config, conditional=conditional, encoder=encoder, extract=extract)
    val = inputs.evaluate(source["val"], with_latents(whole, network.latent_dim, network.prior), config.batch_size)
    hooks = _hooks(config, val, source, conditional)
    train = inputs.train(source["train"], whole, config.batch_size)
    return Experiment(
        (_judge_stage(judge, source, config, inputs), Stage("train", task, train, config.steps, hooks, _judged))
    )


def _judge_stage(model: nn.Module, source: Source, config: Settings, inputs: Inputs) -> Stage:
    size, rows = config.network.size, config.batch_size
    optimizer = Optimizer(lr=0.1, weight_decay=1e-4, schedule="cosine")
    task: Task = classification(model, optimizer.make(config.judge_steps), mean=source.mean, std=source.std)
    held_out = inputs.evaluate(source["val"], crops.center_crop(size, size), rows)
    data = inputs.train(source["train"], crops.crop_pad(size, size // 8), rows)
    return Stage("judge", task, data, config.judge_steps, (evaluate((accuracy((1,)),), held_out, name="judge"),))


def _judged(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    judge = done["judge"]
    return judged_by(state, {"params": judge.params, **judge.model_state})


def _hooks(config: Settings, val: Data, source: Source, conditional: bool) -> tuple[Hook, ...]:
    """Distances from the held-out images, as many samples as there are of them; a baseline; pictures; the alarm."""
    every, name = config.eval_every, f"{JUDGE}_{config.play.sample_norm}"
    figures = (frechet(name), kid(name), inception_score(name), precision_recall(name))
    draw = partial(_draw_classes, source=source) if conditional else draw_samples
    return (
        evaluate((*figures, class_accuracy()) if conditional else figures, val, every=every),
        of_blurred_noise(evaluate((frechet(name),), val, name="baseline")),
        picture("samples", val, draw, every=every),
        Hook("interpolations", 0, partial(_interpolate, val, config.network.prior)),
        collapse.alarm(config.play.objective, every=every),
    )


def draw_samples(outputs: PyTree, batch: Batch) -> np.ndarray:
    """Samples beside real images."""
    return viz.samples(outputs["samples"], batch["image"])


def _draw_classes(outputs: PyTree, batch: Batch, *, source: Source) -> np.ndarray:
    return viz.by_class(outputs["samples"], batch["label"], source.class_names)


def _interpolate(val: Data, prior: Prior, predict: Predict, state: TrainState) -> Result:
    """Samples on the way from some latents to others."""
    batch = first_batch(val)
    pairs = max(1, min(4, len(batch["z"]) // _STEPS))
    path = between(batch["z"][:pairs], batch["z"][pairs : 2 * pairs], _STEPS, prior)
    z = np.resize(path.reshape(-1, path.shape[-1]), batch["z"].shape)
    samples = predict(state, {**batch, "z": z})["samples"][: pairs * _STEPS]
    return {"interpolations": viz.interpolations(samples.reshape(pairs, _STEPS, *samples.shape[1:]))}
