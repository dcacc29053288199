"""Colourisation (Zhang, Isola & Efros 2016, arXiv:1603.08511).

python launch.py --experiment=ssl/colorization  # 2.5 from the true colour, grey is 12.0; 4 minutes beside other jobs
python launch.py --experiment=ssl/colorization --data=folder:photos --image_size=64 --crop.shorter=64,80
python launch.py --experiment=ssl/colorization --preset=paper --data=tfds:imagenet2012 --workers=8

The embedded data are digits in ink of ten hues, one for each digit: to find the hue the network must know the digit.
Data without colours are refused.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Source, Subset
from jaxvision.losses.colorization import rebalancing, soft_encode
from jaxvision.models.pretext_heads import Colorizer
from jaxvision.ops.images import unit
from jaxvision.ops.lab import color_bins, grey, to_lab
from jaxvision.recipes.pretext import Crop, experiment, square
from jaxvision.recipes.two_views import Backbone
from jaxvision.tasks.colorization import colorization
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Batch, Experiment, PyTree
from jaxvision.viz.pretext import triples

_SAMPLE = 512  # training images whose colours are counted
_GREY = 2.0  # mean distance from grey, in Lab, below which an image is taken to have no colours
_CELL = 4  # pixels of a side of what one prediction is of


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "tinted"  # tinted, folder:DIR, tfds:NAME: data in colours
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    image_size: int = 32  # pixels
    rebalance: float = 0.5  # λ: 1 weighs all colours alike, 0 the rarest the most
    temperature: float = 0.38  # of the annealed mean: towards 0 vivid and spotted, 1 is dull
    batch_size: int = 32
    steps: int = 600
    eval_every: int = 300
    crop: Crop = Crop()
    backbone: Backbone = Backbone()
    optimizer: Optimizer = Optimizer(rule="adam", lr=1e-3, weight_decay=1e-4, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    "paper": Config(  # section 3.1, with a ResNet and ways up in the place of dilated VGG-like blocks
        data="tfds:imagenet2012",
        image_size=256,
        batch_size=40,
        steps=450_000,
        eval_every=10_000,
        crop=Crop((256, 288), flip=True),
        backbone=Backbone(stem="imagenet", width=1.0),
        optimizer=Optimizer(
            rule="adam",
            lr=3e-5,
            beta2=0.99,
            weight_decay=1e-3,
            schedule="step",
            milestones=(0.444, 0.833),
            factor=0.316,
        ),
    ),
    "smoke": Config(
        data="tinted:count=16", image_size=16, batch_size=4, steps=2, eval_every=2, crop=Crop((16, 18)),
        backbone=Backbone(width=1 / 32),
    ),
}  # fmt: skip


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn to give grey images their colours."""
    source, bins = inputs.source(config.data), color_bins()
    task = colorization(
        Colorizer(config.backbone.make(), len(bins)),
        config.optimizer.make(config.steps),
        mean=source.mean,
        std=source.std,
        bins=bins,
        weights=rebalancing(frequencies(source, config, inputs), jnp.asarray(bins), config.rebalance),
        temperature=config.temperature,
    )
    return experiment(task, source, config, inputs, ("ab_error", "ab_error_grey", "auc"), _draw)


def frequencies(source: Source, config: Config, inputs: Inputs) -> Float[Array, " Q"]:
    """How often each bin's colours are met in the first training images. ValueError: images without colours."""
    known = source[config.train_split]
    records = Subset(known, np.arange(min(_SAMPLE, len(known))))
    batches = inputs.evaluate(records, square(config.image_size), config.batch_size)(0, 1)  # the same in every process
    counts, chroma = zip(*(_count(batch["image"], batch["_mask"]) for batch in batches), strict=True)
    if float(np.max([np.max(each) for each in chroma])) < _GREY:
        raise ValueError(
            f"--data={config.data}: the images are grey, there are no colours to learn; give coloured ones"
        )
    return sum(counts, jnp.zeros_like(counts[0]))


@jax.jit
def _count(images: UInt8[Array, "B S S 3"], mask: Array) -> tuple[Float[Array, " Q"], Float[Array, " B"]]:
    """The sum of all cells' soft codes, and each image's mean distance from grey; of real rows."""
    colors = to_lab(unit(images))[..., 1:]
    cells = colors.reshape(len(colors), -1, 2)[:, :: _CELL * _CELL]
    codes = soft_encode(cells, jnp.asarray(color_bins())) * mask[:, None, None]
    return codes.sum((0, 1)), jnp.sqrt(jnp.square(colors).sum(-1)).mean((1, 2)) * mask


_grey = jax.jit(lambda images: jnp.round(255 * grey(unit(images))).astype(jnp.uint8))


def _draw(outputs: PyTree, batch: Batch) -> np.ndarray:
    seen = np.asarray(_grey(batch["image"]))
    return triples(seen, outputs["colored"], batch["image"], ("seen", "coloured", "truth"))
