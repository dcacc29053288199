"""Context prediction: where does a patch lie beside another? (Doersch, Gupta & Efros 2015, arXiv:1505.05192.)

python launch.py --experiment=ssl/relative_patch  # digits: 0.713 of held-out pairs, of which chance is 0.125
python launch.py --experiment=ssl/relative_patch --data=idx:fashion-mnist
python launch.py --experiment=ssl/relative_patch --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import AS_DATA, CAFFE, PixelScale
from jaxvision.models.pretext_heads import PieceClassifier
from jaxvision.ops.patches import NEIGHBOURS
from jaxvision.recipes.backbone import Backbone
from jaxvision.recipes.pretext import IMAGENET, SMOKE, PretextConfig, PretextCrop, PretextSetup
from jaxvision.tasks.pretext import CONTRAST
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
    rms: float = 0.0  # grey levels of each patch's root mean square, with --pixels.range=255; 0: as it is
    tower: int = 64  # units of fc6, on each patch
    joint: int = 64  # units of fc7, on both patches
    last: int = 0  # units of fc8, behind fc7; 0: no such layer
    pixels: PixelScale = AS_DATA
    crop: PretextCrop = PretextCrop((56, 64))


PRESETS = {
    "quick": Config(),
    # Section 3, with the released code's network and scale of patches. Its rate, 1e-5, is for the sum over the 2,400
    # pairs or so among 512 patches.
    "paper": Config(
        **{**IMAGENET, "backbone": Backbone("context", width=1.0)},
        pixels=CAFFE,
        image_size=448,
        patch=96,
        gap=48,
        jitter=7,
        pixelate=0.33,
        least_pixels=100,
        rms=50.0,
        tower=4096,
        joint=4096,
        last=4096,
        batch_size=256,
        steps=1_000_000,
        crop=PretextCrop((448, 640)),
        optimizer=Optimizer(lr=0.024, momentum=0.0),
    ),
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
    if config.rms and config.pixels.range != 255:
        raise ValueError(f"--rms={config.rms:g}: patches must be in grey levels; add --pixels.range=255, or --rms=0")
    setup = PretextSetup(inputs.source(config.data, pixels=config.pixels), config, inputs, _draw)
    ask = relative_patch(
        mean=setup.source.mean,
        std=setup.source.std,
        patch=config.patch,
        gap=config.gap,
        jitter=config.jitter,
        color=config.color,
        pixelate=config.pixelate,
        least_pixels=config.least_pixels,
        rms=config.rms,
    )
    model = PieceClassifier(config.backbone.make(), len(NEIGHBOURS), config.tower, config.joint, config.last)
    return setup.experiment(setup.task(model, ask, CONTRAST / config.rms if config.rms else CONTRAST))


def _draw(outputs: PyTree, batch: Batch) -> UInt8[np.ndarray, "H W 3"]:
    return pairs(outputs["pieces"][:, 0], outputs["probabilities"][:, 0], outputs["answers"][:, 0])
