"""The parts that the segmentation experiments share: their settings, and the task, data and hooks made from them."""

import dataclasses
import functools
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar

import flax.linen as nn
import numpy as np

from jaxvision.data import segmentation as transforms
from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import AS_DATA, PixelScale
from jaxvision.data.pixel_weights import balanced, median_frequency, with_borders
from jaxvision.data.records import Records, Source, evenly
from jaxvision.evals.label_distance import accuracy_by_distance
from jaxvision.evals.segmentation import confusion
from jaxvision.losses.segmentation import Normalisation
from jaxvision.models.precision import in_precision
from jaxvision.ops.images import Color
from jaxvision.ops.looks import Look, multi_scale, proposals, sliding, whole
from jaxvision.recipes.run_config import SplitConfig
from jaxvision.tasks.segmentation import segmentation
from jaxvision.train.hooks import evaluate, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Batch, Data, Hook, Presentation, PyTree, Task
from jaxvision.viz import segmentation as viz

SHOWN = 6  # images in a picture


@dataclasses.dataclass(frozen=True)
class SegmenterView:
    """The crops that a segmenter is trained on, and the canvas that a test image is placed on."""

    size: tuple[int, ...] = (96, 96)  # height, width of a training crop in pixels
    test_size: tuple[int, ...] = (128, 128)  # height, width of the canvas; larger images are made smaller
    scales: tuple[float, ...] = (1.0, 1.0)  # a training image is resized by a factor between these two
    shorter: int = 0  # pixels of an image's shorter side, which scales are factors of; 0: as the image is
    flip: bool = False  # mirror every other training image
    elastic: float = 0.0  # pixels, standard deviation of U-Net's random deformations
    rotate: float = 0.0  # degrees, the largest angle by which a training crop is turned, either way
    grey: float = 0.0  # the largest relative change of brightness, and of contrast, of a training crop
    border: Literal["mean", "mirror"] = "mean"  # outside the image: the mean colour, or the image's mirror image

    def prepare(self, fill: Color) -> dict[str, Any]:
        """Return how a test image is put on its canvas, see `Presentation`; {} for a mirrored border, not told there.

        Args:
            fill: RGB in 0..255 around the image.
        """
        if self.border == "mirror":
            return {}
        scale: dict[str, Any] = {"short": self.shorter} if self.shorter else {"enlarge": False}
        return {"canvas": list(pair("view.test_size", self.test_size)), **scale, "fill": [round(c) for c in fill]}


@dataclasses.dataclass(frozen=True)
class SegmenterTest:
    """The way a test image is given to the network: as a whole, in windows, or at several sizes."""

    look: Literal["whole", "sliding", "multi_scale", "proposals"] = (
        "whole"  # at once, in windows, averaged over sizes, or (deconvnet with objects.steps) the best of proposals
    )
    window: tuple[int, ...] = (0, 0)  # sliding, proposals: height, width in pixels
    stride: tuple[int, ...] = (0, 0)  # sliding: pixels down and across
    scales: tuple[float, ...] = (0.75, 1.0, 1.25)  # multi_scale, each with its mirror image
    distances: bool = False  # also measure the accuracy of pixels by their distance to the next object

    def make(self) -> Look:
        """Return the function of `ops.looks` that predicts this way; ValueError if its window lacks a size."""
        if self.look == "whole":
            return whole
        if self.look == "proposals":
            return proposals(square("test.window", self.window))
        if self.look == "multi_scale":
            return multi_scale(self.scales)
        if min(*self.window, *self.stride) < 1:
            raise ValueError(
                "--test.look=sliding needs --test.window and --test.stride, each as height,width in pixels"
            )
        return sliding(pair("test.window", self.window), pair("test.stride", self.stride))


CONVOLUTION_BIASES = "^(?!bn)[^/]+/bias$"
"""The pattern of a flag such as `optimizer.lr_scale` for biases of layers that are no batch norm."""

SMALL = SegmenterView((64, 64), (64, 64))  # scenes of 64 pixels
PHOTOS = SegmenterView((160, 224), (192, 256), (0.8, 1.3), flip=True)  # a user's photographs, about 240×180
STREETS = SegmenterView((360, 480), (360, 480), flip=True)  # CamVid at half its size
SEGMENTER_ADAM = Optimizer(rule="adam", lr=0.003, schedule="cosine", warmup_steps=50)
SLOWER_SEGMENTER_ADAM = dataclasses.replace(SEGMENTER_ADAM, lr=0.002)


@dataclasses.dataclass(frozen=True)
class SegmenterConfig(SplitConfig):
    """The settings that every segmentation experiment has."""

    data: str = "scenes:count=4096,size=64,classes=1"  # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet
    batch_size: int = 8  # images in a training step, over all devices
    width: float = 0.25  # fraction of the paper's channels
    pixels: PixelScale = AS_DATA
    class_weights: Literal["none", "median_frequency", "balanced"] = (
        "none"  # weights in the loss, by which rare classes count for more; balanced: every class counts for as much
    )
    view: SegmenterView = SMALL
    test: SegmenterTest = SegmenterTest()
    optimizer: Optimizer = SEGMENTER_ADAM


C = TypeVar("C", bound=SegmenterConfig)


def photos(config: C) -> C:
    """Return `config` for a few hundred photographs of a user's own, learned from random weights."""
    return dataclasses.replace(
        config,
        data="masks:photos",
        val_split="val",
        batch_size=4,
        steps=1200,
        eval_every=600,
        view=PHOTOS,
        optimizer=SLOWER_SEGMENTER_ADAM,
    )


def smoke(config: C) -> C:
    """Return `config` for two steps on eight small scenes."""
    return dataclasses.replace(
        config,
        data="scenes:count=8,size=64",
        val_split="val",
        batch_size=4,
        steps=2,
        eval_every=1,
        view=SMALL,
    )


@dataclasses.dataclass(frozen=True)
class SegmenterSetup:
    """The parts of a segmentation experiment, each made from its settings and its data."""

    source: Source  # images with label maps
    config: SegmenterConfig
    inputs: Inputs
    borders: bool = False  # weigh the pixels between objects as U-Net does
    inner: tuple[int, int] | None = None  # height, width of a crop's middle, which alone the network labels; None: all
    proposes: ClassVar[bool] = False  # whether images come with proposals, which one way of testing needs

    def task(self, model: nn.Module, *, normalise: Normalisation = "pixels") -> Task:
        """Return the task of labelling every pixel with `model`; `normalise` says what the loss is divided by."""
        if self.config.test.look == "proposals" and not self.proposes:
            raise ValueError(
                "--test.look=proposals: only segmentation/deconvnet with --objects.steps searches for proposals; "
                "choose whole, sliding or multi_scale"
            )
        optimizer = self.config.optimizer.at(self.config.batch_size)
        task = segmentation(
            in_precision(model, self.inputs.precision),
            optimizer.make(self.config.steps),
            mean=self.source.mean,
            std=self.source.std,
            class_weights=None if self.borders else self._class_weights,
            normalise=normalise,
            look=self.config.test.make(),
        )
        return log_rate(task, optimizer, self.config.steps)

    def train(self) -> Data:
        """Open the training split: random crops, in batches."""
        view = self.config.view
        transform = transforms.train(
            pair("view.size", view.size),
            scales=(view.scales[0], view.scales[-1]),
            shorter=view.shorter,
            flip=0.5 if view.flip else 0.0,
            elastic=view.elastic,
            rotate=view.rotate,
            grey=view.grey,
            inner=self.inner,
            mirror=view.border == "mirror",
            fill=self.source.mean,
        )
        transform = with_borders(transform, class_weights=self._class_weights) if self.borders else transform
        return self.inputs.train(self.source[self.config.train_split], transform, self.config.batch_size)

    def val(self) -> Data:
        """Open the validation split: every image once, on the canvas of `view.test_size`."""
        return self._on_canvas(self.source[self.config.val_split])

    def sample(self) -> Data:
        """Return validation images for a picture, spread over the whole split."""
        return self._on_canvas(evenly(self.source[self.config.val_split], min(SHOWN, self.config.batch_size)))

    def hooks(self) -> tuple[Hook, ...]:
        """Return the hooks that measure mean IoU and accuracies, and draw predictions beside the labels."""
        names, every = self.source.class_names, self.config.eval_every
        distances = (accuracy_by_distance(),) if self.config.test.distances else ()
        return (
            evaluate((confusion(names), *distances), self.val(), every=every),
            picture("predictions", self.sample(), partial(draw_predictions, class_names=names), every=every),
        )

    def presentation(self) -> Presentation:
        """Return what `--mode=predict` shows: pictures, and label maps as PNGs of the images' original size."""
        names = self.source.class_names
        return Presentation(
            self._on_canvas,
            partial(_describe, class_names=names),
            lambda outputs, batch: viz.predictions(
                batch["image"], None, outputs["classes"], names, most=SHOWN, sizes=batch["size"]
            ),
            label_map=_in_original_size,
            prepare=self.config.view.prepare(self.source.mean),
            overlay=lambda image, outputs, batch, row, shown: viz.overlay(
                image, _in_original_size(outputs, batch, row), names, size=1
            ),
        )

    @functools.cached_property
    def _class_weights(self) -> np.ndarray | None:
        """Counting classes reads the whole split, so it is done once, however many networks are trained."""
        if self.config.class_weights == "none" or not self.inputs.training:
            return None
        count = {"median_frequency": median_frequency, "balanced": balanced}[self.config.class_weights]
        return count(self.source[self.config.train_split], self.source.num_classes)

    def _on_canvas(self, records: Records) -> Data:
        size = pair("view.test_size", self.config.view.test_size)
        mirror = self.config.view.border == "mirror"
        shorter = self.config.view.shorter
        transform = transforms.evaluate(size, shorter=shorter, mirror=mirror, fill=self.source.mean)
        return self.inputs.evaluate(records, transform, self.config.batch_size)


def draw_predictions(outputs: PyTree, batch: Batch, *, class_names: Sequence[str]) -> np.ndarray:
    """Draw images, their label maps and their predicted classes side by side.

    Args:
        outputs: predictions with "classes" uint8 [B, H, W].
        batch: the batch they belong to, with "image" and "label_map".
        class_names: names of the classes, for the legend.

    Returns:
        A picture of the first images of the batch, uint8 [h, w, 3].
    """
    rows = np.flatnonzero(batch["_mask"])[:SHOWN]
    sizes = batch["size"][rows] if "size" in batch else None
    truth, found = batch["label_map"][rows], outputs["classes"][rows]
    return viz.predictions(batch["image"][rows], truth, found, class_names, sizes=sizes)


def pair(flag: str, values: tuple[int, ...]) -> tuple[int, int]:
    """Return the two numbers of a flag; ValueError names the flag if there are not two."""
    if len(values) != 2:
        raise ValueError(f"--{flag}={','.join(map(str, values))}: give two numbers, height,width")
    return values[0], values[1]


def square(flag: str, values: tuple[int, ...]) -> int:
    """Return the side of the square that the two numbers of a flag give; ValueError names the flag if there is none."""
    height, width = pair(flag, values)
    if height != width or height < 1:
        raise ValueError(
            f"--{flag}={height},{width}: with proposals it is a square; give the same number of pixels twice"
        )
    return height


def _in_original_size(outputs: PyTree, batch: Batch, row: int) -> np.ndarray:
    """Return the classes at the pixels of the image before it was resized, uint8 [H, W]."""
    height, width = batch["size"][row].astype(int)
    return transforms.nearest(
        np.ascontiguousarray(outputs["classes"][row][:height, :width]),
        tuple(batch["original"][row].astype(int).tolist()),
    )


def _describe(outputs: PyTree, batch: Batch, row: int, *, class_names: Sequence[str]) -> dict[str, Any]:
    """Return the fraction of the image that each class takes."""
    classes = _in_original_size(outputs, batch, row)
    counts = np.bincount(classes.ravel(), minlength=len(class_names))
    return {
        "fractions": {
            name: round(n / classes.size, 5) for name, n in zip(class_names, counts.tolist(), strict=True) if n
        }
    }
