"""A small encoder–decoder with one way of unpooling, chosen by a flag; segmentation/unpooling compares all five.

python launch.py --experiment=segmentation/encoder_decoder --unpooling=bed_of_nails

Without skip connections, telling digits apart would take many more steps: the scenes have one class of objects.
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.models.encoder_decoder import EncoderDecoder
from jaxvision.recipes.segmentation import STREETS, SegmenterConfig, SegmenterSetup, smoke
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config(SegmenterConfig):
    """Fields are flags; `quick` is the default preset."""

    unpooling: Literal["nearest", "bed_of_nails", "max_unpool", "transposed", "bilinear"] = (
        "max_unpool"  # how the decoder enlarges its maps
    )
    width: float = 0.5  # fraction of 32, 64, 128 and 256 channels
    steps: int = 600  # training steps
    eval_every: int = 300  # training steps between evaluations


PRESETS = {
    "quick": Config(),
    "paper": Config(  # of no single paper: the quick network at full width on SegNet's data
        data="masks:camvid,ignore=11",
        width=1.0,
        class_weights="median_frequency",
        batch_size=12,
        steps=20_000,
        eval_every=2000,
        view=STREETS,
    ),
    "smoke": smoke(Config(width=0.125)),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a small encoder–decoder without skip connections."""
    setup = SegmenterSetup(inputs.source(config.data, "label_maps", config.pixels), config, inputs)
    model = EncoderDecoder(setup.source.num_classes, config.unpooling, config.width)
    return Experiment.single(
        setup.task(model),
        setup.train(),
        config.steps,
        setup.hooks(),
        presentation=setup.presentation(),
        best="val/mean_iou",
    )
