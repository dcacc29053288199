"""DeconvNet (Noh, Hong & Han 2015, arXiv:1505.04366).

python launch.py --experiment=segmentation/deconvnet  # scenes, digits not told apart: mean IoU 0.859, 3 minutes
python launch.py --experiment=segmentation/deconvnet --preset=paper --data=voc:/data/VOC2012
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.models.deconvnet import DeconvNet
from jaxvision.recipes.segmentation import ADAM, SMALL, Setup, Test, View
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet. Without skips, to tell digits apart takes many more steps.
    data: str = "scenes:count=4096,classes=1"
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    width: float = 0.25  # fraction of the paper's channels
    window: int = 3  # cells of fc6's side: training crops are 32 times as many pixels
    class_weights: Literal["none", "median_frequency"] = "none"
    batch_size: int = 8
    steps: int = 600
    eval_every: int = 300
    view: View = View((96, 96), (128, 128))
    test: Test = Test("sliding", (96, 96), (32, 32))
    optimizer: Optimizer = dataclasses.replace(ADAM, lr=0.002)


PRESETS = {
    "quick": Config(),
    "paper": Config(  # section 4.2, its second stage, with random crops in the place of object proposals
        data="voc:VOCdevkit/VOC2012",
        width=1.0,
        window=7,
        batch_size=64,
        steps=40_000,
        eval_every=5000,
        view=View((224, 224), (500, 500), (0.5, 1.5), flip=True),
        test=Test("sliding", (224, 224), (112, 112)),
        optimizer=Optimizer(lr=0.01, momentum=0.9, weight_decay=5e-4, schedule="step", milestones=(0.6, 0.85)),
    ),
    "smoke": Config(
        data="scenes:count=8,size=64",
        width=0.03125,
        window=2,
        batch_size=4,
        steps=2,
        eval_every=1,
        view=SMALL,
        test=Test("sliding", (64, 64), (32, 32)),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train VGG-16 and its mirror image of unpooling and transposed convolutions."""
    setup = Setup(inputs.source(config.data, "label_maps"), config, inputs)
    return setup.experiment(DeconvNet(setup.source.num_classes, config.window, config.width))
