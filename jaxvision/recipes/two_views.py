"""The parts that the contrastive experiments share: settings, how two views of an image are drawn, data, and hooks."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from jaxvision.data import crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Records, Source, evenly, has_classes
from jaxvision.data.transforms import Transform
from jaxvision.evals.embedding import embeddings
from jaxvision.evals.knn import knn
from jaxvision.ops import augment
from jaxvision.ops.augment import Augmentation
from jaxvision.ops.images import from_unit, unit
from jaxvision.recipes.backbone import RESNET50, TINY, Backbone
from jaxvision.recipes.run_config import SplitConfig
from jaxvision.train.devices import first_batch
from jaxvision.train.hooks import evaluate
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Data, Hook, Predict, Result, TrainState
from jaxvision.viz.grid import grid

_SHOWN = 8  # images in the picture of views
_VIEWS = 4  # views of each image in the picture
_BANK, _QUERIES = 5000, 1000  # most training and held-out images that nearest neighbours are computed with


@dataclasses.dataclass(frozen=True)
class ContrastiveView:
    """The random changes that make a view of an image."""

    area: tuple[float, ...] = (0.2, 1.0)  # smallest and largest share of the image that a view is cut from
    flip: float = 0.0  # probability that a view is mirrored
    jitter: tuple[float, ...] = (0.4, 0.4, 0.4, 0.1)  # strength in brightness, contrast, saturation, hue
    jitter_probability: float = 0.8  # probability that colours are changed by jitter
    grayscale: float = 0.2  # probability that a view loses its colours
    blur: float = 0.0  # probability of a Gaussian blur of 0.1 to 2 pixels, over a tenth of the size

    def __post_init__(self) -> None:
        for field, count in (("area", 2), ("jitter", 4)):
            if len(getattr(self, field)) != count:
                raise ValueError(f"--view.{field} is {getattr(self, field)}: give {count} numbers")

    def make(self, size: int, *, cut: bool = True) -> Augmentation:
        """Return the augmentation to views of `size` pixels, without the changes whose probability is 0.

        Without `cut` it takes images that are parts of that size already (`data.crops.two_crops`).
        """
        low, high = self.area
        steps: list[Augmentation] = []
        if cut:
            steps.append(partial(augment.random_resized_crop, size=size, area=(low, high)))
        if self.flip:
            steps.append(partial(augment.flip, probability=self.flip))
        if self.jitter_probability:
            brightness, contrast, saturation, hue = self.jitter
            strengths = (brightness, contrast, saturation, hue)
            steps.append(partial(augment.color_jitter, strengths=strengths, probability=self.jitter_probability))
        if self.grayscale:
            steps.append(partial(augment.grayscale, probability=self.grayscale))
        if self.blur:
            kernel = 2 * max(1, size // 20) + 1
            steps.append(partial(augment.blur, sigma=(0.1, 2.0), kernel=kernel, probability=self.blur))
        return augment.chain(*steps)


@dataclasses.dataclass(frozen=True)
class ContrastiveConfig(SplitConfig):
    """The fields that the Config of every contrastive method has."""

    batch_size: int = 128
    image_size: int = 32  # height and width of a view in pixels
    source_size: int = 32  # pixels a side of the central square that views are cut from; 0: of the whole photograph
    temperature: float = 0.2  # divides the cosines in the loss; the lower, the more hard negatives count
    hidden: int = 128  # width of the projection head's hidden layer
    embedding: int = 64  # width of the projection head's output
    backbone: Backbone = Backbone()
    view: ContrastiveView = ContrastiveView()
    optimizer: Optimizer = Optimizer(lr=0.1, weight_decay=1e-4, schedule="cosine")


# Fields that presets have in common.
IMAGENET: dict[str, Any] = {"data": "tfds:imagenet2012", "image_size": 224, "source_size": 0}
IMAGENET |= {"embedding": 128, "backbone": RESNET50}
SMOKE: dict[str, Any] = {"data": "digits:count=32", "image_size": 16, "source_size": 16, "batch_size": 8}
SMOKE |= {"steps": 2, "eval_every": 1, "hidden": 8, "embedding": 4, "backbone": TINY}


@dataclasses.dataclass(frozen=True)
class ContrastiveSetup:
    """The parts of an experiment that learns from pairs of views; each method has a task of its own."""

    source: Source
    config: ContrastiveConfig
    inputs: Inputs  # opens data for training and evaluation

    def augmentation(self) -> Augmentation:
        """Return the augmentation that makes a view of an image, or of a part that was cut out as it was read."""
        return self.config.view.make(self.config.image_size, cut=self.config.source_size > 0)

    def train(self) -> Data:
        """Return what a task draws views from: central squares of images, or two parts of each photograph."""
        config = self.config
        low, high = config.view.area
        transform = self._square() if config.source_size else crops.two_crops(config.image_size, (low, high))
        return self.inputs.train(self.source[config.train_split], transform, config.batch_size)

    def val(self) -> Data:
        """Return the central squares of the held-out images."""
        return self._evaluation(self.source[self.config.val_split])

    def embedding(self, records: Records) -> Data:
        """Return a user's images as the held-out ones are seen."""
        return self._evaluation(records)

    def hooks(self) -> tuple[Hook, ...]:
        """Return the hooks for a picture of views and, where images have labels, for neighbours' "knn/accuracy"."""
        views = Hook("views", 0, self._draw_views)
        if not has_classes(self.source):
            return (views,)
        bank = evenly(self.source[self.config.train_split], _BANK)
        queries = evenly(self.source[self.config.val_split], _QUERIES)
        known, asked = (evaluate((embeddings(),), self._evaluation(records)) for records in (bank, queries))
        return knn(known, asked, self.source.num_classes, every=self.config.eval_every), views

    def _square(self) -> Transform:
        if not self.config.source_size:
            return crops.center_crop(self.config.image_size)
        return crops.center_crop(self.config.source_size, self.config.source_size)

    def _evaluation(self, records: Records) -> Data:
        return self.inputs.evaluate(records, self._square(), self.config.batch_size)

    def _draw_views(self, predict: Predict, state: TrainState) -> Result:
        """Draw some held-out images, each followed by views of it; or the two views of some training images."""
        if not self.config.source_size:
            return {"views": self._pairs()}
        images = jnp.asarray(first_batch(self.val())["image"][:_SHOWN])
        pixels = jnp.repeat(unit(images), _VIEWS, axis=0)
        views = jax.jit(self.augmentation())(jax.random.split(jax.random.PRNGKey(0), len(pixels)), pixels)
        size = views.shape[1]
        whole = jax.image.resize(images.astype(jnp.float32), (len(images), size, size, 3), "bilinear", antialias=True)
        rows = jnp.concatenate([whole[:, None], 255.0 * views.reshape(-1, _VIEWS, size, size, 3)], axis=1)
        shown = np.asarray(jnp.clip(jnp.round(rows), 0.0, 255.0)).astype(np.uint8).reshape(-1, size, size, 3)
        captions = ["image", *["view"] * _VIEWS] * len(images)
        return {"views": grid(shown, 2 * (_VIEWS + 1), captions)}

    def _pairs(self) -> UInt8[np.ndarray, "h w 3"]:
        """Draw the two views of the first training images, whose parts are cut out as they are read."""
        batch = first_batch(self.train())
        parts = np.stack([batch["image"][:_SHOWN], batch["second"][:_SHOWN]], axis=1).reshape(
            -1, *batch["image"].shape[1:]
        )
        views = jax.jit(self.augmentation())(
            jax.random.split(jax.random.PRNGKey(0), len(parts)), unit(jnp.asarray(parts))
        )
        shown = np.asarray(from_unit(views))
        return grid(shown, 2 * _VIEWS, ["view", "other view"] * (len(shown) // 2))
