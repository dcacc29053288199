"""What the segmentation experiments share: views of training and test images, class weights, figures, predictions."""

import dataclasses
import functools
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

import flax.linen as nn
import numpy as np

from jaxvision.data import segmentation as transforms
from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_weights import median_frequency, with_borders
from jaxvision.data.records import Records, Source
from jaxvision.evals.segmentation import confusion
from jaxvision.losses.segmentation import Normalisation
from jaxvision.ops.looks import Look, multi_scale, sliding, whole
from jaxvision.recipes.settings import Run, Splits
from jaxvision.tasks.segmentation import segmentation
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Batch, Data, Experiment, Hook, Presentation, PyTree, Task
from jaxvision.viz import segmentation as viz

SHOWN = 6  # images in a picture


@dataclasses.dataclass(frozen=True)
class View:
    """What is cut from a training image, and the canvas that a test image is fitted on, with their label maps."""

    size: tuple[int, ...] = (96, 96)  # height, width of a training crop in pixels
    test_size: tuple[int, ...] = (128, 128)  # height, width of the canvas; larger images are made smaller
    scales: tuple[float, ...] = (1.0, 1.0)  # a training image is resized by a factor between these two
    flip: bool = False  # mirror every other training image
    elastic: float = 0.0  # pixels, standard deviation of U-Net's random deformations


# Of the presets: scenes of 64 pixels; photographs of one's own, about 240×180; CamVid at half its size.
SMALL = View((64, 64), (64, 64))
PHOTOS = View((160, 224), (192, 256), (0.8, 1.3), flip=True)
STREETS = View((360, 480), (360, 480), flip=True)
ADAM = Optimizer(rule="adam", lr=0.003, schedule="cosine", warmup_steps=50)


@dataclasses.dataclass(frozen=True)
class Test:
    """How the network looks at a test image."""

    look: Literal["whole", "sliding", "multi_scale"] = "whole"
    window: tuple[int, ...] = (0, 0)  # sliding: height, width in pixels
    stride: tuple[int, ...] = (0, 0)  # sliding: pixels down and across
    scales: tuple[float, ...] = (0.75, 1.0, 1.25)  # multi_scale, each with its mirror image

    def make(self) -> Look:
        """The look; ValueError where a sliding window has no size."""
        if self.look == "whole":
            return whole
        if self.look == "multi_scale":
            return multi_scale(self.scales)
        if min(*self.window, *self.stride) < 1:
            raise ValueError(
                "--test.look=sliding needs --test.window and --test.stride, each as height,width in pixels"
            )
        return sliding(_pair("test.window", self.window), _pair("test.stride", self.stride))


@runtime_checkable
class Settings(Run, Splits, Protocol):
    """The fields that every segmentation Config has."""

    @property
    def data(self) -> str: ...

    @property
    def class_weights(self) -> Literal["none", "median_frequency"]: ...

    @property
    def view(self) -> View: ...

    @property
    def test(self) -> Test: ...

    @property
    def optimizer(self) -> Optimizer: ...


@dataclasses.dataclass(frozen=True)
class Setup:
    """An experiment's parts, from which stages are made."""

    source: Source
    config: Settings
    inputs: Inputs
    borders: bool = False  # U-Net's weights of the pixels between objects

    def task(self, model: nn.Module, *, normalise: Normalisation = "pixels") -> Task:
        """See `tasks.segmentation`."""
        return segmentation(
            model,
            self.config.optimizer.make(self.config.steps),
            mean=self.source.mean,
            std=self.source.std,
            class_weights=self._class_weights,
            normalise=normalise,
            look=self.config.test.make(),
        )

    def train(self) -> Data:
        """Random crops."""
        view = self.config.view
        transform = transforms.train(
            _pair("view.size", view.size),
            scales=(view.scales[0], view.scales[-1]),
            flip=0.5 if view.flip else 0.0,
            elastic=view.elastic,
            fill=self.source.mean,
        )
        transform = with_borders(transform) if self.borders else transform
        return self.inputs.train(self.source[self.config.train_split], transform, self.config.batch_size)

    def val(self) -> Data:
        """Every image to be evaluated, once."""
        return self._whole(self.source[self.config.val_split])

    def hooks(self) -> tuple[Hook, ...]:
        """The figures of the confusion matrix, and a picture of predictions beside the truth."""
        names, every = self.source.class_names, self.config.eval_every
        return (
            evaluate((confusion(names),), self.val(), every=every),
            picture("predictions", self.val(), partial(_draw, class_names=names), every=every),
        )

    def presentation(self) -> Presentation:
        """Pictures, and label maps as PNGs of the images' own size."""
        names = self.source.class_names
        return Presentation(
            self._whole,
            partial(_describe, class_names=names),
            lambda outputs, batch: viz.predictions(batch["image"], None, outputs["classes"], names, most=SHOWN),
            label_map=_original,
        )

    def experiment(self, model: nn.Module, *, normalise: Normalisation = "pixels") -> Experiment:
        """One network, trained in one stage."""
        return Experiment.single(
            self.task(model, normalise=normalise),
            self.train(),
            self.config.steps,
            self.hooks(),
            presentation=self.presentation(),
            best="val/mean_iou",
        )

    @functools.cached_property
    def _class_weights(self) -> np.ndarray | None:
        """Counted once, however many networks are trained."""
        if self.config.class_weights == "none":
            return None
        return median_frequency(self.source[self.config.train_split], self.source.num_classes)

    def _whole(self, records: Records) -> Data:
        size = _pair("view.test_size", self.config.view.test_size)
        transform = transforms.evaluate(size, fill=self.source.mean)
        return self.inputs.evaluate(records, transform, self.config.batch_size)


def _pair(flag: str, values: tuple[int, ...]) -> tuple[int, int]:
    if len(values) != 2:
        raise ValueError(f"--{flag}={','.join(map(str, values))}: give two numbers, height,width")
    return values[0], values[1]


def _draw(outputs: PyTree, batch: Batch, *, class_names: Sequence[str]) -> np.ndarray:
    return viz.predictions(batch["image"], batch["label_map"], outputs["classes"], class_names, most=SHOWN)


def _original(outputs: PyTree, batch: Batch, row: int) -> np.ndarray:
    """The classes at the pixels of the image as it was, uint8 [H, W]."""
    height, width = batch["size"][row].astype(int)
    return transforms.nearest(
        np.ascontiguousarray(outputs["classes"][row][:height, :width]),
        tuple(batch["original"][row].astype(int).tolist()),
    )


def _describe(outputs: PyTree, batch: Batch, row: int, *, class_names: Sequence[str]) -> dict[str, Any]:
    """Which fraction of the image each class takes."""
    classes = _original(outputs, batch, row)
    counts = np.bincount(classes.ravel(), minlength=len(class_names))
    return {
        "fractions": {
            name: round(n / classes.size, 5) for name, n in zip(class_names, counts.tolist(), strict=True) if n
        }
    }
