"""Context encoders (Pathak, Krähenbühl, Donahue, Darrell & Efros 2016, arXiv:1604.07379).

python launch.py --experiment=ssl/context_encoder  # digits: PSNR 22.6 dB; 5 minutes beside other jobs
python launch.py --experiment=ssl/context_encoder --data=idx:fashion-mnist
python launch.py --experiment=ssl/context_encoder --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

import numpy as np

from jaxvision.data.inputs import Inputs
from jaxvision.models.dcgan import Discriminator
from jaxvision.models.pretext_heads import ContextEncoder
from jaxvision.recipes.pretext import Crop, experiment
from jaxvision.recipes.two_views import Backbone
from jaxvision.tasks.context_encoder import context_encoder
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Batch, Experiment, PyTree
from jaxvision.viz.pretext import triples


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, scenes, idx:DIR, folder:DIR, tfds:NAME
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    image_size: int = 32  # pixels
    hole: Literal[16, 32, 64] = 16  # pixels of what is filled, in the middle
    overlap: int = 2  # pixels at the hole's border that are seen
    adversarial: float = 0.001  # share of the discriminator in the loss
    judge_width: float = 0.25  # fraction of the channels of DCGAN's discriminator
    batch_size: int = 32
    steps: int = 600
    eval_every: int = 300
    crop: Crop = Crop()
    backbone: Backbone = Backbone()
    optimizer: Optimizer = Optimizer(rule="adam", lr=2e-3, momentum=0.5)
    discriminator: Optimizer = Optimizer(rule="adam", lr=2e-4, momentum=0.5)


PRESETS = {
    "quick": Config(),
    "paper": Config(  # sections 3.3 and 4, with a ResNet in the place of AlexNet's layers
        data="tfds:imagenet2012",
        image_size=128,
        hole=64,
        overlap=7,
        judge_width=1.0,
        batch_size=64,
        steps=500_000,
        eval_every=10_000,
        crop=Crop((128, 160), flip=True),
        backbone=Backbone(stem="imagenet", width=1.0),
    ),
    "smoke": Config(
        data="digits:count=16",
        judge_width=1 / 64,
        batch_size=4,
        steps=2,
        eval_every=2,
        backbone=Backbone(width=1 / 32),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn to fill a hole in an image, from what is around it."""
    source = inputs.source(config.data)
    task = context_encoder(
        ContextEncoder(config.backbone.make(), config.hole),
        Discriminator(config.hole, config.judge_width, kernel=4),
        config.optimizer.make(config.steps),
        config.discriminator.make(config.steps),
        mean=source.mean,
        std=source.std,
        hole=config.hole,
        overlap=config.overlap,
        adversarial=config.adversarial,
    )
    return experiment(task, source, config, inputs, ("l1", "l2", "l2_mean", "psnr"), _draw)


def _draw(outputs: PyTree, batch: Batch) -> np.ndarray:
    return triples(outputs["seen"], outputs["filled"], batch["image"], ("seen", "filled", "truth"))
