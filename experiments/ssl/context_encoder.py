"""Context encoders (Pathak, Krähenbühl, Donahue, Darrell & Efros 2016, arXiv:1604.07379).

python launch.py --experiment=ssl/context_encoder  # digits: PSNR 22.6 dB; 5 minutes beside other jobs
python launch.py --experiment=ssl/context_encoder --data=idx:fashion-mnist
python launch.py --experiment=ssl/context_encoder --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from jaxvision.data.inputs import Inputs
from jaxvision.models.dcgan import Discriminator
from jaxvision.models.precision import in_precision
from jaxvision.models.pretext_heads import ContextEncoder
from jaxvision.recipes.backbone import Backbone
from jaxvision.recipes.pretext import IMAGENET, SMOKE, PretextConfig, PretextCrop, PretextSetup
from jaxvision.tasks.context_encoder import context_encoder
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Batch, Experiment, PyTree
from jaxvision.viz.pretext import triples


@dataclasses.dataclass(frozen=True)
class Config(PretextConfig):
    """Fields are flags; `quick` is the default preset."""

    steps: int = 600
    eval_every: int = 300
    hole: Literal[16, 32, 64] = 16  # height and width in pixels of the hole in the middle, which is filled
    overlap: int = 2  # pixels at the hole's border that are seen
    bottleneck: int = 0  # numbers between encoder and decoder, 4000 in the released code; 0: a channel-wise layer
    adversarial: float = 0.001  # share of the discriminator in the loss
    judge_width: float = 0.25  # fraction of the channels of DCGAN's discriminator
    optimizer: Optimizer = Optimizer(rule="adam", lr=2e-3, momentum=0.5)
    discriminator: Optimizer = Optimizer(rule="adam", lr=2e-4, momentum=0.5)


PRESETS = {
    "quick": Config(),
    # Section 5.1, on the networks of the released code: an encoder of 128 pixels, a bottleneck of 4000 numbers, a
    # discriminator of 64 to 512 channels, crops of images of 350 pixels.
    "paper": Config(
        **{**IMAGENET, "backbone": Backbone("strided", width=1.0)},
        bottleneck=4000,
        image_size=128,
        hole=64,
        overlap=7,
        judge_width=0.5,
        batch_size=64,
        steps=500_000,
        crop=PretextCrop((350, 350), flip=True),
    ),
    "smoke": Config(**SMOKE, judge_width=1 / 64, batch_size=4),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn to fill a hole in an image from its surroundings."""
    setup = PretextSetup(inputs.source(config.data), config, inputs, _draw, ("l1", "l2", "l2_mean", "psnr"))
    task = context_encoder(
        in_precision(ContextEncoder(config.backbone.with_maps(), config.hole, config.bottleneck), inputs.precision),
        in_precision(Discriminator(config.hole, config.judge_width, kernel=4), inputs.precision),
        config.optimizer.make(config.steps),
        config.discriminator.make(config.steps),
        mean=setup.source.mean,
        std=setup.source.std,
        hole=config.hole,
        overlap=config.overlap,
        adversarial=config.adversarial,
    )
    task = log_rate(task, config.optimizer, config.steps, player="model")
    task = log_rate(task, config.discriminator, config.steps, player="discriminator")
    return setup.experiment(task)


def _draw(outputs: PyTree, batch: Batch) -> UInt8[np.ndarray, "H W 3"]:
    return triples(outputs["seen"], outputs["filled"], batch["image"], ("seen", "filled", "truth"))
