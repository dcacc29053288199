"""What the experiments without labels share: the network that learns, how its views are drawn, and a look at them."""

import dataclasses
from functools import partial
from typing import Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.data import crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Records, Source, evenly
from jaxvision.data.transforms import Transform
from jaxvision.evals.embedding import embeddings
from jaxvision.evals.knn import knn
from jaxvision.models.layers import BatchNorm, Layer
from jaxvision.models.resnet import ResNet
from jaxvision.ops import augment
from jaxvision.ops.augment import Augmentation
from jaxvision.ops.images import unit
from jaxvision.recipes.settings import Run, Splits
from jaxvision.train.devices import first_batch
from jaxvision.train.hooks import evaluate
from jaxvision.train.types import Data, Experiment, Hook, Predict, Result, Task, TrainState
from jaxvision.viz.grid import grid

_SHOWN = 8  # images in the picture of views
_VIEWS = 4  # of each
_BANK, _QUERIES = 5000, 1000  # the most images among which, and for which, neighbours are looked for


@dataclasses.dataclass(frozen=True)
class Backbone:
    """The network whose features are learned."""

    depth: int = 18  # 18, 34, 50, 101, 152
    stem: Literal["imagenet", "cifar"] = "cifar"  # 7×7/2 and max-pool, or 3×3
    width: float = 0.25  # fraction of the paper's channels

    def make(self, norm: Layer = BatchNorm) -> ResNet:
        """The network without a classifier: its features are "pool"."""
        return ResNet(None, self.depth, stem=self.stem, width=self.width, norm=norm)


@dataclasses.dataclass(frozen=True)
class View:
    """How a view of an image is drawn."""

    area: tuple[float, ...] = (0.2, 1.0)  # smallest and largest share of the image
    flip: float = 0.0  # probability that it is mirrored
    jitter: tuple[float, ...] = (0.4, 0.4, 0.4, 0.1)  # strength in brightness, contrast, saturation, hue
    jitter_probability: float = 0.8
    grayscale: float = 0.2  # probability
    blur: float = 0.0  # probability of a Gaussian blur of 0.1 to 2 pixels, over a tenth of the size

    def __post_init__(self) -> None:
        for field, count in (("area", 2), ("jitter", 4)):
            if len(getattr(self, field)) != count:
                raise ValueError(f"--view.{field} is {getattr(self, field)}: give {count} numbers")

    def make(self, size: int) -> Augmentation:
        """Views of `size` pixels. What never happens is left out."""
        low, high = self.area
        steps: list[Augmentation] = [partial(augment.random_resized_crop, size=size, area=(low, high))]
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


@runtime_checkable
class Settings(Run, Splits, Protocol):
    """The fields that the Config of a method with two views has."""

    @property
    def source_size(self) -> int: ...


def contrastive(task: Task, view: Augmentation, source: Source, config: Settings, inputs: Inputs) -> Experiment:
    """Train on pairs of views; look at nearest neighbours, and at some views."""
    square = crops.center_crop(config.source_size, config.source_size)
    train = inputs.train(source[config.train_split], square, config.batch_size)
    held_out = inputs.evaluate(source[config.val_split], square, config.batch_size)
    neighbours = _knn(source, config, inputs, square)
    return Experiment.single(task, train, config.steps, (neighbours, _views(view, held_out)), best="knn/accuracy")


def _knn(source: Source, config: Settings, inputs: Inputs, transform: Transform) -> Hook:
    """Accuracy of nearest neighbours, of some held-out images among some of the training images."""

    def embedded(records: Records, most: int) -> Hook:
        return evaluate((embeddings(),), inputs.evaluate(evenly(records, most), transform, config.batch_size))

    known, asked = embedded(source[config.train_split], _BANK), embedded(source[config.val_split], _QUERIES)
    return knn(known, asked, source.num_classes, every=config.eval_every)


def _views(view: Augmentation, data: Data) -> Hook:
    """A picture of images, each followed by views of it."""

    def run(predict: Predict, state: TrainState) -> Result:
        images = jnp.asarray(first_batch(data)["image"][:_SHOWN])
        pixels = jnp.repeat(unit(images), _VIEWS, axis=0)
        views = jax.jit(view)(jax.random.split(jax.random.PRNGKey(0), len(pixels)), pixels)
        size = views.shape[1]
        whole = jax.image.resize(images.astype(jnp.float32), (len(images), size, size, 3), "bilinear", antialias=True)
        rows = jnp.concatenate([whole[:, None], 255.0 * views.reshape(-1, _VIEWS, size, size, 3)], axis=1)
        shown = np.asarray(jnp.clip(jnp.round(rows), 0.0, 255.0)).astype(np.uint8).reshape(-1, size, size, 3)
        captions = ["image", *["view"] * _VIEWS] * len(images)
        return {"views": grid(shown, 2 * (_VIEWS + 1), captions)}

    return Hook("views", 0, run)
