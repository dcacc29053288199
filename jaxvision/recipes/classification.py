"""What the classification experiments share: augmentation, test views, held-out figures, how predictions are shown."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import flax.linen as nn
import numpy as np

from jaxvision.data import color, crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Source
from jaxvision.data.transforms import Transform, compose, horizontal_flip
from jaxvision.evals.classification import accuracy, confusion_matrix
from jaxvision.ops.views import Views, multi_scale, ten_crops, whole
from jaxvision.recipes.settings import Run
from jaxvision.tasks.classification import classification
from jaxvision.train.hooks import evaluate, parameters, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Batch, Experiment, Presentation, PyTree
from jaxvision.viz import confusion, filters, grid

SHOWN = 18  # predictions in a picture


@dataclasses.dataclass(frozen=True)
class Augment:
    """How a training image is varied."""

    crop: Literal["shift", "jitter", "inception"] = "shift"  # up to 1/8 of the size; random scale; random part
    shorter: tuple[int, ...] = (256, 512)  # jitter: range of the shorter side in pixels
    flip: bool = False  # mirror every other image
    color: Literal["none", "pca", "photometric"] = "none"  # AlexNet's noise; brightness, contrast and saturation
    mixup: float = 0.0  # alpha of mixup's Beta distribution; 0: off
    label_smoothing: float = 0.0  # share of a target that is spread over all classes

    def make(self, size: int) -> Transform:
        """The transform to uint8 [size, size, 3]."""
        crop = {
            "shift": lambda: crops.crop_pad(size, max(1, size // 8)),
            "jitter": lambda: crops.scale_jitter(size, *self.shorter),
            "inception": lambda: crops.inception_crop(size),
        }[self.crop]()
        tint = {"none": [], "pca": [color.pca_noise()], "photometric": [color.photometric()]}[self.color]
        return compose(crop, *([horizontal_flip()] if self.flip else []), *tint)


@dataclasses.dataclass(frozen=True)
class Test:
    """How a held-out image is looked at."""

    views: Literal["center", "ten_crop", "multi_scale"] = "center"  # whose probabilities are averaged
    resize: int = 0  # center, ten_crop: pixels of the shorter side, before cropping; 0: image_size
    sizes: tuple[int, ...] = (256, 384, 512)  # multi_scale: pixels of the shorter side, each also mirrored

    def make(self, size: int) -> tuple[Transform, Views]:
        """The transform on the host, and the views on the device."""
        resize = self.resize or size
        if self.views == "multi_scale":
            return crops.center_crop(max(self.sizes), max(self.sizes)), multi_scale(self.sizes)
        if self.views == "ten_crop":
            return crops.center_crop(resize, resize), ten_crops(size)
        return crops.center_crop(size, resize), whole


@runtime_checkable
class Settings(Run, Protocol):
    """The fields that every classification Config has."""

    @property
    def image_size(self) -> int: ...

    @property
    def augment(self) -> Augment: ...

    @property
    def test(self) -> Test: ...

    @property
    def optimizer(self) -> Optimizer: ...


def experiment(
    model: nn.Module, source: Source, config: Settings, inputs: Inputs, *, average_decay: float = 0.0
) -> Experiment:
    """Train `model` to name what is in an image; look at accuracy, confusion, predictions and filters."""
    prepare, test_views = config.test.make(config.image_size)
    task = classification(
        model,
        config.optimizer.make(config.steps),
        mean=source.mean,
        std=source.std,
        label_smoothing=config.augment.label_smoothing,
        mixup_alpha=config.augment.mixup,
        average_decay=average_decay,
        views=test_views,
    )
    names = source.class_names

    def draw(outputs: PyTree, batch: Batch) -> np.ndarray:
        rows = np.flatnonzero(batch["_mask"])[:SHOWN]
        labels = batch["label"][rows] if "label" in batch else None
        return grid.predictions(batch["image"][rows], outputs["probabilities"][rows], names, labels)

    held_out = inputs.evaluate(source["val"], prepare, config.batch_size)
    figures = (accuracy(top=(1, 5)), confusion_matrix(names, confusion.confusion_matrix))
    return Experiment.single(
        task,
        inputs.train(source["train"], config.augment.make(config.image_size), config.batch_size),
        config.steps,
        (
            evaluate(figures, held_out, every=config.eval_every),
            picture("predictions", held_out, draw),
            parameters("filters", lambda state: filters.filters(np.asarray(first_kernel(state.params)))),
        ),
        presentation=Presentation(
            lambda files: inputs.evaluate(files, prepare, config.batch_size),
            lambda outputs, batch, row: describe(outputs["probabilities"][row], names),
            draw,
        ),
        best="val/accuracy",
    )


def describe(probabilities: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """What predictions.json says of one image: its class, and the five most probable ones."""
    top = np.argsort(-probabilities, kind="stable")[:5]
    return {"label": names[top[0]], "probabilities": {names[i]: round(float(probabilities[i]), 6) for i in top}}


def first_kernel(params: PyTree) -> Any:
    """The kernel [h, w, 3, C] of the first convolution, the only one whose filters can be seen as colours."""
    layer = next(params[name] for name in ("conv1", "conv1_1") if name in params)
    return layer.get("conv", layer)["kernel"]
