"""SegNet (Badrinarayanan, Kendall & Cipolla 2017, arXiv:1511.00561).

python launch.py --experiment=segmentation/segnet  # scenes, digits not told apart: mean IoU 0.811, 2 minutes
python launch.py --experiment=segmentation/segnet --preset=paper --data=masks:/data/camvid,ignore=11

Without skip connections, telling digits apart would take many more steps: the scenes have one class of objects.
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.models.segnet import SegNet
from jaxvision.recipes.segmentation import (
    CONVOLUTION_BIASES,
    SegmenterConfig,
    SegmenterSetup,
    SegmenterView,
    photos,
    smoke,
)
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config(SegmenterConfig):
    """Fields are flags; `quick` is the default preset."""

    net: Literal["A", "B", "D", "E"] = "D"  # VGG's column that is mirrored; the paper's is D
    contrast: int = 0  # pixels a side of the window of local contrast normalisation of images; 0: none
    steps: int = 1200  # training steps
    eval_every: int = 400  # training steps between evaluations


PRESETS = {
    "quick": Config(),
    "photos": photos(Config()),
    # Section 4: CamVid at 360×480, local contrast normalisation, weights by median frequency; the paper starts from
    # ImageNet's VGG. Decay, and biases of convolutions at twice the rate, are those of the released definition.
    "paper": Config(
        data="masks:camvid,ignore=11",
        width=1.0,
        contrast=9,
        class_weights="median_frequency",
        batch_size=12,
        steps=40_000,
        eval_every=2000,
        view=SegmenterView((360, 480), (360, 480)),
        optimizer=Optimizer(
            lr=0.1,
            momentum=0.9,
            rate_in_velocity=True,
            weight_decay=5e-4,
            decay_norms=True,
            lr_scale=(CONVOLUTION_BIASES + "=2",),
            decay_scale=("bias$=0",),
        ),
    ),
    "smoke": smoke(Config(net="A", width=0.0625, contrast=5)),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train an encoder–decoder whose decoder unpools to the positions of its encoder's maxima."""
    setup = SegmenterSetup(inputs.source(config.data, "label_maps", config.pixels), config, inputs)
    model = SegNet(setup.source.num_classes, config.width, net=config.net, contrast=config.contrast)
    return Experiment.single(
        setup.task(model, normalise="weights"),
        setup.train(),
        config.steps,
        setup.hooks(),
        presentation=setup.presentation(),
        best="val/mean_iou",
    )
