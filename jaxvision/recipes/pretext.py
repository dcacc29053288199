"""The parts that the pretext experiments share: settings, crops, data, metrics, and pictures of answers."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import numpy as np
from jaxtyping import UInt8

from jaxvision.data import crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Records, Source
from jaxvision.data.seeds import with_seed
from jaxvision.data.transforms import Transform, compose, horizontal_flip
from jaxvision.evals.means import means
from jaxvision.models.precision import in_precision
from jaxvision.recipes.backbone import RESNET18, TINY, Backbone
from jaxvision.recipes.run_config import SplitConfig
from jaxvision.tasks.pretext import CONTRAST, pretext
from jaxvision.tasks.questions import Ask
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Batch, Data, Experiment, Hook, Presentation, PyTree, Task

DrawAnswers = Callable[[PyTree, Batch], UInt8[np.ndarray, "H W 3"]]
"""Draws `(outputs, batch)`, both without rows of padding."""


@dataclasses.dataclass(frozen=True)
class PretextCrop:
    """The square that is cut out of a training image at random."""

    shorter: tuple[int, ...] = (32, 36)  # pixels of the shorter side, drawn anew: the smallest and the largest
    flip: bool = False  # mirror half of the images, chosen at random

    def make(self, size: int) -> Transform:
        """Return the transform to uint8 [size, size, 3].

        Raises:
            ValueError: `shorter` is not two numbers in order, or smaller than `size`.
        """
        if len(self.shorter) != 2 or not size <= self.shorter[0] <= self.shorter[1]:
            raise ValueError(f"--crop.shorter is {self.shorter}: give two numbers from --image_size={size} up")
        cut = crops.scale_jitter(size, *self.shorter)
        return compose(cut, horizontal_flip()) if self.flip else cut


@dataclasses.dataclass(frozen=True)
class PretextConfig(SplitConfig):
    """The fields that every pretext Config has."""

    batch_size: int = 32
    eval_every: int = 200
    image_size: int = 32  # height and width in pixels of the square that is cut from an image
    crop: PretextCrop = PretextCrop()
    backbone: Backbone = Backbone()
    optimizer: Optimizer = Optimizer(lr=0.05, weight_decay=5e-4, schedule="cosine", warmup_steps=20)


# Fields that presets have in common.
IMAGENET: dict[str, Any] = {"data": "tfds:imagenet2012", "eval_every": 10_000, "backbone": RESNET18}
SMOKE: dict[str, Any] = {"data": "digits:count=16", "steps": 2, "eval_every": 2, "backbone": TINY}


@dataclasses.dataclass(frozen=True)
class PretextSetup:
    """The parts of a pretext experiment."""

    source: Source
    config: PretextConfig
    inputs: Inputs  # opens data for training and evaluation
    draw: DrawAnswers
    metrics: tuple[str, ...] = ("pretext_accuracy",)  # outputs of `predict`, one number an image, that are averaged

    def task(self, model: nn.Module, ask: Ask, contrast: float = CONTRAST) -> Task:
        """Return the task of training `model` to answer the questions that `ask` makes of an image.

        Args:
            model: the network.
            ask: makes the questions.
            contrast: grey levels in pictures for a difference of 1 between what the network is given.
        """
        optimizer, steps = self.config.optimizer.at(self.config.batch_size), self.config.steps
        model = in_precision(model, self.inputs.precision)
        mean, std = self.source.mean, self.source.std
        task = pretext(model, optimizer.make(steps), ask, mean=mean, std=std, contrast=contrast)
        return log_rate(task, optimizer, steps)

    def experiment(self, task: Task) -> Experiment:
        """Return the experiment of training with a task, and of measuring and drawing its answers."""
        return Experiment.single(
            task,
            self.train(),
            self.config.steps,
            self.hooks(),
            presentation=self.presentation(),
            embedding=self.embedding,
        )

    def train(self) -> Data:
        """Return random squares of the training images."""
        transform = self.config.crop.make(self.config.image_size)
        return self.inputs.train(self.source[self.config.train_split], transform, self.config.batch_size)

    def val(self) -> Data:
        """Return the central squares of the held-out images, each with the seed of its questions."""
        return self._evaluation(self.source[self.config.val_split])

    def hooks(self) -> tuple[Hook, ...]:
        """Return the hooks for the metrics' means over the held-out images, and for a picture of some answers."""
        every = self.config.eval_every
        return (
            evaluate((means(*self.metrics),), self.val(), every=every),
            picture("answers", self.val(), self._draw, every=every),
        )

    def embedding(self, records: Records) -> Data:
        """Return a user's images, of which only the encoder's features are wanted: no questions are asked."""
        size = self.config.image_size
        return self.inputs.evaluate(records, crops.center_crop(size, size), self.config.batch_size)

    def presentation(self) -> Presentation:
        """Return how --mode=predict measures and draws the answers for a user's images."""
        return Presentation(self._evaluation, self._describe, self._draw)

    def _evaluation(self, records: Records) -> Data:
        size = self.config.image_size
        return self.inputs.evaluate(records, with_seed(crops.center_crop(size, size)), self.config.batch_size)

    def _describe(self, outputs: PyTree, batch: Batch, row: int) -> dict[str, Any]:
        return {name: round(float(outputs[name][row]), 6) for name in self.metrics}

    def _draw(self, outputs: PyTree, batch: Batch) -> UInt8[np.ndarray, "H W 3"]:
        rows = np.flatnonzero(batch["_mask"])
        return self.draw({k: v[rows] for k, v in outputs.items()}, {k: v[rows] for k, v in batch.items()})
