"""U-Net (Ronneberger, Fischer & Brox 2015, arXiv:1505.04597).

python launch.py --experiment=segmentation/unet  # scenes: mean IoU 0.835, 4.8 minutes, two CPU cores
python launch.py --experiment=segmentation/unet --preset=paper --data=masks:/data/cells
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.models.layers import BatchNorm
from jaxvision.models.unet import UNet
from jaxvision.recipes.segmentation import ADAM, PHOTOS, SMALL, Setup, Test, View
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=16384,size=64"  # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val[:1024]"  # what the figures are of, such as test
    width: float = 0.125  # fraction of the paper's channels
    levels: int = 5  # resolutions, as in the paper
    valid: bool = False  # convolutions without padding, as in the paper: predict with --test.look=sliding
    batch_norm: bool = True  # the paper has none
    dropout: float = 0.0  # at the end of the way down; 0.5 in the paper
    borders: bool = False  # weigh the pixels between objects, equation 2
    class_weights: Literal["none", "median_frequency"] = "none"
    batch_size: int = 8
    steps: int = 10_500
    eval_every: int = 3500
    view: View = SMALL
    test: Test = Test()
    optimizer: Optimizer = ADAM


PRESETS = {
    "quick": Config(),
    "photos": Config(  # a few hundred photographs of one's own, from random weights
        data="masks:photos",
        val_split="val",
        width=0.25,
        batch_size=4,
        steps=1200,
        eval_every=600,
        view=PHOTOS,
        optimizer=dataclasses.replace(ADAM, lr=0.002),
    ),
    "paper": Config(  # sections 2 and 3: tiles of 572 pixels, one a step, elastic deformations
        data="masks:cells",
        val_split="val",
        width=1.0,
        valid=True,
        batch_norm=False,
        dropout=0.5,
        borders=True,
        batch_size=1,
        steps=40_000,
        eval_every=4000,
        view=View((572, 572), (512, 512), flip=True, elastic=10.0),
        test=Test("sliding", (572, 572), (388, 388)),
        optimizer=Optimizer(lr=0.001, momentum=0.99),
    ),
    "smoke": Config(
        data="scenes:count=8,size=64",
        val_split="val",
        width=0.0625,
        levels=3,
        valid=True,
        borders=True,
        batch_size=4,
        steps=2,
        eval_every=1,
        view=View((68, 68), (64, 64), elastic=2.0),
        test=Test("sliding", (68, 68), (28, 28)),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train an encoder–decoder whose decoder sees the encoder's map of every resolution."""
    setup = Setup(inputs.source(config.data, "label_maps"), config, inputs, config.borders)
    norm = BatchNorm if config.batch_norm else None
    model = UNet(setup.source.num_classes, config.valid, config.levels, config.width, config.dropout, norm)
    return setup.experiment(model)
