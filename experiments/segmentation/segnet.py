"""SegNet (Badrinarayanan, Kendall & Cipolla 2017, arXiv:1511.00561).

python launch.py --experiment=segmentation/segnet  # scenes, digits not told apart: mean IoU 0.811, 2 minutes
python launch.py --experiment=segmentation/segnet --preset=paper --data=masks:/data/camvid,ignore=11
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.models.segnet import SegNet
from jaxvision.recipes.segmentation import ADAM, PHOTOS, SMALL, Setup, Test, View
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet. Without skips, to tell digits apart takes many more steps.
    data: str = "scenes:count=4096,size=64,classes=1"
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    width: float = 0.25  # fraction of the paper's channels
    class_weights: Literal["none", "median_frequency"] = "none"
    batch_size: int = 8
    steps: int = 1200
    eval_every: int = 400
    view: View = SMALL
    test: Test = Test()
    optimizer: Optimizer = ADAM


PRESETS = {
    "quick": Config(),
    "photos": Config(  # a few hundred photographs of one's own, from random weights
        data="masks:photos",
        batch_size=4,
        steps=1200,
        eval_every=600,
        view=PHOTOS,
        optimizer=dataclasses.replace(ADAM, lr=0.002),
    ),
    "paper": Config(  # section 4: CamVid at 360×480, weights by median frequency; the paper starts from ImageNet's VGG
        data="masks:camvid,ignore=11",
        width=1.0,
        class_weights="median_frequency",
        batch_size=12,
        steps=40_000,
        eval_every=2000,
        view=View((360, 480), (360, 480)),
        optimizer=Optimizer(lr=0.1, momentum=0.9),
    ),
    "smoke": Config(
        data="scenes:count=8,size=64",
        width=0.0625,
        batch_size=4,
        steps=2,
        eval_every=1,
        view=SMALL,
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train an encoder–decoder that unpools to the places its encoder's maxima came from."""
    setup = Setup(inputs.source(config.data, "label_maps"), config, inputs)
    return setup.experiment(SegNet(setup.source.num_classes, config.width), normalise="weights")
