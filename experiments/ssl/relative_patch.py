"""Context prediction: where does a patch lie beside another? (Doersch, Gupta & Efros 2015, arXiv:1505.05192.)

python launch.py --experiment=ssl/relative_patch  # digits: 0.713 of held-out pairs, of which chance is 0.125
python launch.py --experiment=ssl/relative_patch --data=idx:fashion-mnist
python launch.py --experiment=ssl/relative_patch --preset=resnet18 --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from jaxvision.data.inputs import Inputs
from jaxvision.models.pretext_heads import PieceClassifier
from jaxvision.ops.patches import NEIGHBOURS
from jaxvision.recipes.pretext import IMAGENET, SMOKE, PretextConfig, PretextCrop, PretextSetup
from jaxvision.tasks.questions import relative_patch
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Batch, Experiment, PyTree
from jaxvision.viz.pretext import pairs


@dataclasses.dataclass(frozen=True)
class Config(PretextConfig):
    """Fields are flags; `quick` is the default preset."""

    batch_size: int = 64
    steps: int = 800
    eval_every: int = 400
    image_size: int = 56  # height and width in pixels of the square that patches are cut from
    patch: int = 12  # height and width of a patch in pixels
    gap: int = 6  # pixels between patches
    jitter: int = 2  # most pixels by which a patch is moved at random, either way
    color: Literal["drop", "project"] = "drop"  # against colour fringes: keep one channel, or no green and magenta
    pixelate: float = 0.5  # share of the patches that are sampled down and up again
    least_pixels: int = 36  # least pixels (height times width) to which a patch is sampled down
    tower: int = 64  # units of fc6, on each patch
    joint: int = 64  # units of fc7, on both patches
    crop: PretextCrop = PretextCrop((56, 64))


PRESETS = {
    "quick": Config(),
    "resnet18": Config(  # section 3 with another network, a ResNet-18 in the place of AlexNet's layers, and schedule
        **IMAGENET,
        image_size=448,
        patch=96,
        gap=48,
        jitter=7,
        least_pixels=100,
        tower=4096,
        joint=4096,
        batch_size=256,
        steps=300_000,
        crop=PretextCrop((448, 640)),
        optimizer=Optimizer(lr=0.03, weight_decay=1e-4, schedule="cosine", warmup_steps=5000),
    ),
    "smoke": Config(
        **SMOKE,
        image_size=32,
        patch=8,
        gap=2,
        jitter=1,
        least_pixels=16,
        tower=8,
        joint=8,
        batch_size=8,
        crop=PretextCrop((32, 34)),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn to tell which of eight neighbours a patch is."""
    setup = PretextSetup(inputs.source(config.data), config, inputs, _draw)
    ask = relative_patch(
        mean=setup.source.mean,
        std=setup.source.std,
        patch=config.patch,
        gap=config.gap,
        jitter=config.jitter,
        color=config.color,
        pixelate=config.pixelate,
        least_pixels=config.least_pixels,
    )
    model = PieceClassifier(config.backbone.make(), len(NEIGHBOURS), config.tower, config.joint)
    return setup.experiment(setup.task(model, ask))


def _draw(outputs: PyTree, batch: Batch) -> UInt8[np.ndarray, "H W 3"]:
    return pairs(outputs["pieces"][:, 0], outputs["probabilities"][:, 0], outputs["answers"][:, 0])
