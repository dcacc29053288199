"""Context prediction: where does a patch lie beside another? (Doersch, Gupta & Efros 2015, arXiv:1505.05192.)

python launch.py --experiment=ssl/relative_patch  # digits: 0.713 of held-out pairs, of which chance is 0.125
python launch.py --experiment=ssl/relative_patch --data=idx:fashion-mnist
python launch.py --experiment=ssl/relative_patch --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.models.pretext_heads import PieceClassifier
from jaxvision.ops.patches import NEIGHBOURS
from jaxvision.recipes.pretext import Crop, answering
from jaxvision.recipes.two_views import Backbone
from jaxvision.tasks.questions import relative_patch
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment
from jaxvision.viz.pretext import pairs


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, scenes, idx:DIR, folder:DIR, tfds:NAME
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    image_size: int = 56  # pixels of the square that patches are cut from
    patch: int = 12  # pixels of a patch
    gap: int = 6  # pixels between patches
    jitter: int = 2  # pixels by which a patch may lie elsewhere, either way
    color: Literal["drop", "project"] = "drop"  # against colour fringes: keep one channel, or no green and magenta
    pixelate: float = 0.5  # share of the patches that are sampled down
    least_pixels: int = 36  # of a patch that is sampled down
    tower: int = 64  # units of fc6, on each patch
    joint: int = 64  # units of fc7, on both
    batch_size: int = 64
    steps: int = 800
    eval_every: int = 400
    crop: Crop = Crop((56, 64))
    backbone: Backbone = Backbone()
    optimizer: Optimizer = Optimizer(lr=0.05, weight_decay=5e-4, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    "paper": Config(  # section 3, with a ResNet in the place of AlexNet's layers and a schedule of its own
        data="tfds:imagenet2012",
        image_size=448,
        patch=96,
        gap=48,
        jitter=7,
        least_pixels=100,
        tower=4096,
        joint=4096,
        batch_size=256,
        steps=300_000,
        eval_every=10_000,
        crop=Crop((448, 640)),
        backbone=Backbone(stem="imagenet", width=1.0),
        optimizer=Optimizer(lr=0.03, weight_decay=1e-4, schedule="cosine", warmup_steps=5000),
    ),
    "smoke": Config(
        data="digits:count=16",
        image_size=32,
        patch=8,
        gap=2,
        jitter=1,
        least_pixels=16,
        tower=8,
        joint=8,
        batch_size=8,
        steps=2,
        eval_every=2,
        crop=Crop((32, 34)),
        backbone=Backbone(width=1 / 32),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn to tell which of eight neighbours a patch is."""
    source = inputs.source(config.data)
    ask = relative_patch(
        mean=source.mean,
        std=source.std,
        patch=config.patch,
        gap=config.gap,
        jitter=config.jitter,
        color=config.color,
        pixelate=config.pixelate,
        least_pixels=config.least_pixels,
    )
    model = PieceClassifier(config.backbone.make(), len(NEIGHBOURS), config.tower, config.joint)
    return answering(
        model,
        ask,
        source,
        config,
        inputs,
        lambda outputs, batch: pairs(outputs["pieces"][:, 0], outputs["probabilities"][:, 0], outputs["answers"][:, 0]),
    )
