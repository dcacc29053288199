"""What the pretext experiments share: how images are cut, held-out figures, a picture, a look at a user's images."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import flax.linen as nn
import numpy as np

from jaxvision.data import crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Source
from jaxvision.data.seeds import with_seed
from jaxvision.data.transforms import Transform, compose, horizontal_flip
from jaxvision.evals.means import means
from jaxvision.recipes.settings import Run, Splits
from jaxvision.tasks.pretext import pretext
from jaxvision.tasks.questions import Ask
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Batch, Experiment, Presentation, PyTree, Task

Draw = Callable[[PyTree, Batch], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Crop:
    """How a square is cut out of a training image."""

    shorter: tuple[int, ...] = (32, 36)  # pixels of the shorter side, drawn anew: the smallest and the largest
    flip: bool = False  # mirror every other image

    def make(self, size: int) -> Transform:
        """The transform to uint8 [size, size, 3]. ValueError: a range that is none, or too small."""
        if len(self.shorter) != 2 or not size <= self.shorter[0] <= self.shorter[1]:
            raise ValueError(f"--crop.shorter is {self.shorter}: give two numbers from --image_size={size} up")
        cut = crops.scale_jitter(size, *self.shorter)
        return compose(cut, horizontal_flip()) if self.flip else cut


@runtime_checkable
class Settings(Run, Splits, Protocol):
    """The fields that every pretext Config has."""

    @property
    def image_size(self) -> int: ...

    @property
    def crop(self) -> Crop: ...

    @property
    def optimizer(self) -> Optimizer: ...


def experiment(
    task: Task, source: Source, config: Settings, inputs: Inputs, figures: tuple[str, ...], draw: Draw
) -> Experiment:
    """Train on the pretext task; the means of `figures`, that `predict` gives for each image, over the held-out ones.

    `draw` gets the outputs and the images of one batch, without its padding.
    """
    whole = with_seed(square(config.image_size))

    def drawn(outputs: PyTree, batch: Batch) -> np.ndarray:
        rows = np.flatnonzero(batch["_mask"])
        return draw({k: v[rows] for k, v in outputs.items()}, {k: v[rows] for k, v in batch.items()})

    def describe(outputs: PyTree, batch: Batch, row: int) -> dict[str, Any]:
        return {name: round(float(outputs[name][row]), 6) for name in figures}

    held_out = inputs.evaluate(source[config.val_split], whole, config.batch_size)
    return Experiment.single(
        task,
        inputs.train(source[config.train_split], config.crop.make(config.image_size), config.batch_size),
        config.steps,
        (
            evaluate((means(*figures),), held_out, every=config.eval_every),
            picture("answers", held_out, drawn, every=config.eval_every),
        ),
        presentation=Presentation(lambda files: inputs.evaluate(files, whole, config.batch_size), describe, drawn),
    )


def answering(model: nn.Module, ask: Ask, source: Source, config: Settings, inputs: Inputs, draw: Draw) -> Experiment:
    """Train `model` to answer what `ask` asks of an image."""
    task = pretext(model, config.optimizer.make(config.steps), ask, mean=source.mean, std=source.std)
    return experiment(task, source, config, inputs, ("pretext_accuracy",), draw)


def square(size: int) -> Transform:
    """The central square of an image, as held-out ones are seen."""
    return crops.center_crop(size, size)
