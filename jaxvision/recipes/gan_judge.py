"""The judge of a GAN: a classifier of the same images, whose features samples and real images are compared by."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property, partial

import numpy as np

from jaxvision.data import crops
from jaxvision.data.latents import Prior
from jaxvision.evals.classification import accuracy
from jaxvision.evals.feature_sets import kid, precision_recall
from jaxvision.evals.frechet import frechet
from jaxvision.evals.gan import class_accuracy, inception_score, of_blurred_noise
from jaxvision.evals.latent_space import between
from jaxvision.models.resnet import ResNet
from jaxvision.recipes.gan import GanConfig, GanSetup, draw_samples
from jaxvision.tasks import collapse
from jaxvision.tasks.classification import classification
from jaxvision.tasks.extractor import Extractor, classifier, judged_by
from jaxvision.train.devices import first_batch
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Batch, Data, Hook, Predict, PyTree, Result, Stage, TrainState
from jaxvision.viz import gan as viz

JUDGE = "resnet18"  # the judge's name in metric keys
INTERPOLATED = 8  # samples between one latent and another, both included


@dataclasses.dataclass(frozen=True)
class JudgedGanConfig(GanConfig):
    """The settings of a GAN whose samples are compared with real images by a classifier's features."""

    data: str = "digits"  # digits, idx:DIR, folder:DIR, tfds:cifar10
    judge_steps: int = 300  # training steps of the classifier


@dataclasses.dataclass(frozen=True)
class GanJudge:
    """A classifier's own stage, and the hooks that compare a GAN's samples with real images by its features."""

    setup: GanSetup
    steps: int  # training steps of the classifier

    def hooks(self) -> tuple[Hook, ...]:
        """Return the hooks that compare as many samples as there are validation images with those, draw some, and warn
        of mode collapse; "baseline" is the distance of blurred noise.
        """
        setup, config, val = self.setup, self.setup.config, self.setup.val()
        name = f"{JUDGE}_{config.play.sample_norm}"
        metrics = (frechet(name), kid(name), inception_score(name), precision_recall(name))
        draw = partial(_draw_classes, class_names=setup.source.class_names) if setup.conditional else draw_samples
        return (
            evaluate((*metrics, class_accuracy()) if setup.conditional else metrics, val, every=config.eval_every),
            of_blurred_noise(evaluate((frechet(name),), val, name="baseline")),
            picture("samples", val, draw, every=config.eval_every),
            Hook("interpolations", 0, partial(_interpolate, val, config.network.prior)),
            collapse.alarm(config.play.objective, every=config.eval_every),
        )

    def stage(self) -> Stage:
        """Return the stage "judge", which trains the classifier and measures its accuracy."""
        source, inputs, config = self.setup.source, self.setup.inputs, self.setup.config
        size, rows = config.network.size, config.batch_size
        optimizer = Optimizer(lr=0.1, weight_decay=1e-4, schedule="cosine")
        task = classification(self._judge, optimizer.make(self.steps), mean=source.mean, std=source.std)
        task = log_rate(task, optimizer, self.steps)
        train = inputs.train(source["train"], crops.crop_pad(size, size // 8), rows)
        val = inputs.evaluate(source["val"], self.setup.crop, rows)
        return Stage("judge", task, train, self.steps, (evaluate((accuracy((1,)),), val, name="judge"),))

    def extractor(self) -> Extractor:
        """Return the classifier as an extractor of features; `with_judge` fills in its trained variables."""
        return classifier(self._judge, self.setup.source.mean, self.setup.source.std)

    @cached_property
    def _judge(self) -> ResNet:
        return ResNet(self.setup.source.num_classes, 18, stem="cifar", width=0.25)


def with_judge(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Put the variables of the finished stage "judge" into a GAN's state: a stage's `warm_start`."""
    judge = done["judge"]
    return judged_by(state, {"params": judge.params, **judge.model_state})


def _draw_classes(outputs: PyTree, batch: Batch, *, class_names: Sequence[str]) -> np.ndarray:
    return viz.by_class(outputs["samples"], batch["label"], class_names)


def _interpolate(val: Data, prior: Prior, predict: Predict, state: TrainState) -> Result:
    """Draw samples from latents on the way from some to others."""
    batch = first_batch(val)
    pairs = max(1, min(4, len(batch["z"]) // INTERPOLATED))
    path = between(batch["z"][:pairs], batch["z"][pairs : 2 * pairs], INTERPOLATED, prior)
    z = np.resize(path.reshape(-1, path.shape[-1]), batch["z"].shape)
    samples = predict(state, {**batch, "z": z})["samples"][: pairs * INTERPOLATED]
    return {"interpolations": viz.interpolations(samples.reshape(pairs, INTERPOLATED, *samples.shape[1:]))}
