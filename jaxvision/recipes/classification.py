"""The parts that the classification experiments share: settings, data, metrics, and pictures of predictions."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from jaxvision.data import color, crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import AS_DATA, PixelScale
from jaxvision.data.records import Records, Source, evenly
from jaxvision.data.transforms import Transform, compose, horizontal_flip
from jaxvision.evals.calibration import calibration
from jaxvision.evals.classification import accuracy, confusion_matrix, nll
from jaxvision.models.precision import in_precision
from jaxvision.ops.views import Views, crops_144, multi_scale, ten_crops, whole
from jaxvision.recipes.embedding import wanting_features
from jaxvision.recipes.lazy_data import lazily
from jaxvision.recipes.run_config import SplitConfig
from jaxvision.tasks.classification import classification
from jaxvision.train.hooks import evaluate, parameters, picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Batch, Data, Experiment, Hook, Presentation, PyTree, Shown, Task, TrainState
from jaxvision.viz import confusion, filters, grid
from jaxvision.viz.photo import with_classes

SHOWN = 18  # predictions in a picture
NAMED = 5  # classes that are named of an image


@dataclasses.dataclass(frozen=True)
class ClassifierAugment:
    """The random changes of a training image."""

    crop: Literal["shift", "jitter", "inception"] = "shift"  # up to 1/8 of the size; random scale; random part
    shorter: tuple[int, ...] = (256, 512)  # jitter: smallest and largest length of the shorter side in pixels
    flip: bool = False  # mirror half of the images, chosen at random
    color: Literal["none", "pca", "photometric"] = "none"  # AlexNet's noise; brightness, contrast and saturation
    mixup: float = 0.0  # alpha of mixup's Beta distribution; 0: off
    label_smoothing: float = 0.0  # share of a target that is spread over all classes

    def make(self, size: int) -> Transform:
        """Return the transform to uint8 [size, size, 3]."""
        crop = {
            "shift": lambda: crops.crop_pad(size, max(1, size // 8)),
            "jitter": lambda: crops.scale_jitter(size, *self.shorter),
            "inception": lambda: crops.inception_crop(size),
        }[self.crop]()
        tint = {"none": [], "pca": [color.pca_noise()], "photometric": [color.photometric()]}[self.color]
        return compose(crop, *([horizontal_flip()] if self.flip else []), *tint)


@dataclasses.dataclass(frozen=True)
class ClassifierViews:
    """The parts and sizes in which a test image is given to the network."""

    views: Literal["center", "ten_crop", "144_crop", "multi_scale"] = (
        "center"  # views whose class probabilities are averaged; 144_crop: GoogLeNet's, multi_scale: VGG's and ResNet's
    )
    resize: int = 0  # center, ten_crop: pixels of the shorter side, before cropping; 0: image_size
    sizes: tuple[int, ...] = (256, 384, 512)  # multi_scale: pixels of the shorter side, each also mirrored
    whole: bool = False  # multi_scale: the image in its own proportions, not its central square

    def make(self, size: int) -> tuple[Transform, Views]:
        """Return the transform of an image on the host, and the function that cuts its views on the device."""
        resize = self.resize or size
        if self.views == "144_crop":
            lengths = tuple(size * part // 7 for part in (8, 9, 10, 11))  # 256, 288, 320 and 352 for 224
            return crops.whole_image(max(lengths)), crops_144(size, lengths)
        if self.views == "multi_scale" and self.whole:
            return crops.whole_image(max(self.sizes)), multi_scale(self.sizes)
        if self.views == "multi_scale":
            return crops.center_crop(max(self.sizes), max(self.sizes)), multi_scale(self.sizes)
        if self.views == "ten_crop":
            return crops.center_crop(resize, resize), ten_crops(size)
        return crops.center_crop(size, resize), whole

    def groups(self, records: Records) -> Int[np.ndarray, " N"] | None:
        """Return the group of each record, whose images have one shape; None where all images have."""
        return crops.shape_groups(records) if self.in_proportion else None

    @property
    def in_proportion(self) -> bool:
        """Whether images keep their proportions, so that they have several shapes."""
        return self.views == "144_crop" or (self.views == "multi_scale" and self.whole)

    def prepare(self, size: int) -> dict[str, int]:
        """Return the pixels of the shorter side and of the square that is cut from the middle; {} without one."""
        resize = max(self.sizes) if self.views == "multi_scale" else self.resize or size
        return {} if self.in_proportion else {"resize": resize, "crop": size if self.views == "center" else resize}


@dataclasses.dataclass(frozen=True)
class ClassifierConfig(SplitConfig):
    """The fields that every classification Config has."""

    width: float = 0.25  # fraction of the paper's channels
    image_size: int = 32  # height and width of a training image in pixels
    pixels: PixelScale = AS_DATA
    augment: ClassifierAugment = ClassifierAugment()
    test: ClassifierViews = ClassifierViews()
    optimizer: Optimizer = Optimizer(lr=0.05, weight_decay=5e-4, schedule="cosine", warmup_steps=20)


# Fields that presets have in common, and the augmentation of Szegedy et al. 2015.
IMAGENET: dict[str, Any] = {"data": "tfds:imagenet2012", "width": 1.0, "image_size": 224}
# Section 4.2 of He et al. 2016: 64,000 steps on all 50,000 training images, tested on the 10,000 others.
CIFAR: dict[str, Any] = {
    "data": "tfds:cifar10",
    "val_split": "test",
    "width": 1.0,
    "pixels": PixelScale(255, (125.3, 123.0, 113.9)),
    "batch_size": 128,
    "steps": 64_000,
    "eval_every": 4000,
    "augment": ClassifierAugment(crop="shift", flip=True),
    "optimizer": Optimizer(lr=0.1, weight_decay=1e-4, schedule="step", milestones=(0.5, 0.75), decay_norms=True),
}
SMOKE: dict[str, Any] = {"data": "digits:count=32", "width": 0.125, "batch_size": 8, "steps": 2, "eval_every": 1}
INCEPTION_AUGMENT = ClassifierAugment(crop="inception", flip=True, color="photometric")


@dataclasses.dataclass(frozen=True)
class ClassifierSetup:
    """The parts of a classification experiment."""

    source: Source  # images with labels
    config: ClassifierConfig
    inputs: Inputs  # opens data for training and evaluation

    def task(self, model: nn.Module) -> Task:
        """Return the task of training `model`."""
        config, source = self.config, self.source
        optimizer = config.optimizer.at(config.batch_size)
        task = classification(
            in_precision(model, self.inputs.precision),
            optimizer.make(config.steps),
            mean=source.mean,
            std=source.std,
            label_smoothing=config.augment.label_smoothing,
            mixup_alpha=config.augment.mixup,
            views=config.test.make(config.image_size)[1],
        )
        return log_rate(task, optimizer, config.steps)

    def experiment(self, task: Task) -> Experiment:
        """Return the experiment of training with a task, of which the checkpoint with the best accuracy is kept."""
        return Experiment.single(
            task,
            self.train(),
            self.config.steps,
            self.hooks(),
            presentation=self.presentation(),
            best="val/accuracy",
            embedding=self.embedding,
        )

    def train(self) -> Data:
        """Return augmented training images with labels."""
        transform = self.config.augment.make(self.config.image_size)
        return self.inputs.train(self.source[self.config.train_split], transform, self.config.batch_size)

    def val(self) -> Data:
        """Return the held-out images with labels."""
        return self._evaluation(self.source[self.config.val_split])

    def sample(self) -> Data:
        """Return held-out images for a picture, spread over the whole split: folders are sorted by class."""
        return self._evaluation(evenly(self.source[self.config.val_split], min(SHOWN, self.config.batch_size)))

    def hooks(self) -> tuple[Hook, ...]:
        """Return the hooks for accuracy and confusion matrix, and for pictures of predictions and first filters."""
        matrix = confusion_matrix(self.source.class_names, confusion.confusion_matrix)
        metrics = (accuracy(top=(1, 5)), nll(), calibration(), matrix)
        return (
            evaluate(metrics, self.val(), every=self.config.eval_every),
            picture("predictions", self.sample(), self._draw),
            parameters("filters", _draw_filters),
        )

    def embedding(self, records: Records) -> Data:
        """Return a user's images, of which the features before the last layer are wanted."""
        return self._evaluation(records, features=True)

    def presentation(self) -> Presentation:
        """Return how --mode=predict names and draws the classes of a user's images."""
        prepare = self.config.test.prepare(self.config.image_size)
        return Presentation(self._evaluation, self._describe, self._draw, overlay=self._on_photo, prepare=prepare)

    def _evaluation(self, records: Records, *, features: bool = False) -> Data:
        test, size = self.config.test, self.config.batch_size
        transform, _ = test.make(self.config.image_size)
        transform = wanting_features(transform) if features else transform
        if test.in_proportion:  # the groups are read from the files
            return lazily(lambda: self.inputs.evaluate(records, transform, size, test.groups(records)))
        return self.inputs.evaluate(records, transform, size)

    def _describe(self, outputs: PyTree, batch: Batch, row: int) -> dict[str, Any]:
        return describe(outputs["probabilities"][row], self.source.class_names)

    def _on_photo(
        self, image: UInt8[np.ndarray, "H W 3"], outputs: PyTree, batch: Batch, row: int, shown: Shown
    ) -> UInt8[np.ndarray, "H2 W2 3"]:
        probabilities = outputs["probabilities"][row]
        top = np.argsort(-probabilities, kind="stable")[: min(shown.most, NAMED)]
        top = top[probabilities[top] >= (shown.min_score or 0.0)]
        return with_classes(image, [self.source.class_names[i] for i in top], probabilities[top])

    def _draw(self, outputs: PyTree, batch: Batch) -> UInt8[np.ndarray, "H W 3"]:
        rows = np.flatnonzero(batch["_mask"])[:SHOWN]
        labels = batch["label"][rows] if "label" in batch else None
        return grid.predictions(batch["image"][rows], outputs["probabilities"][rows], self.source.class_names, labels)


def describe(probabilities: Float[np.ndarray, " C"], names: Sequence[str]) -> dict[str, Any]:
    """Return one image's entry in predictions.json: the most probable class, and the five highest probabilities."""
    top = np.argsort(-probabilities, kind="stable")[:NAMED]
    return {"label": names[top[0]], "probabilities": {names[i]: round(float(probabilities[i]), 6) for i in top}}


def first_kernel(params: PyTree) -> Float[Array | np.ndarray, "h w 3 C"]:
    """Return the kernel of the first convolution, the only one whose filters can be shown as colours."""
    layer = next(params[name] for name in ("conv1", "conv1_1") if name in params)
    return layer.get("conv", layer)["kernel"]


def _draw_filters(state: TrainState) -> UInt8[np.ndarray, "H W 3"]:
    return filters.filters(np.asarray(first_kernel(state.params)))
