"""One encoder–decoder with each way of unpooling: a choice of one, for a comparison see segmentation/unpooling.

python launch.py --experiment=segmentation/encoder_decoder --unpooling=bed_of_nails
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.models.encoder_decoder import EncoderDecoder
from jaxvision.recipes.segmentation import ADAM, SMALL, STREETS, Setup, Test, View
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet. Without skips, to tell digits apart takes many more steps.
    data: str = "scenes:count=4096,size=64,classes=1"
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    unpooling: Literal["nearest", "bed_of_nails", "max_unpool", "transposed", "bilinear"] = "max_unpool"  # the way back
    width: float = 0.5  # fraction of 32, 64, 128 and 256 channels
    class_weights: Literal["none", "median_frequency"] = "none"
    batch_size: int = 8
    steps: int = 600
    eval_every: int = 300
    view: View = SMALL
    test: Test = Test()
    optimizer: Optimizer = ADAM


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
    "smoke": Config(
        data="scenes:count=8,size=64",
        width=0.125,
        batch_size=4,
        steps=2,
        eval_every=1,
        view=SMALL,
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a small encoder–decoder without connections across."""
    setup = Setup(inputs.source(config.data, "label_maps"), config, inputs)
    return setup.experiment(EncoderDecoder(setup.source.num_classes, config.unpooling, config.width))
