"""DeconvNet (Noh, Hong & Han 2015, arXiv:1505.04366).

python launch.py --experiment=segmentation/deconvnet  # scenes, digits not told apart: mean IoU 0.859, 3 minutes
python launch.py --experiment=segmentation/deconvnet --preset=paper --data=voc:/data/VOC2012

Without skip connections, telling digits apart would take many more steps: the scenes have one class of objects.
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import CAFFE_IMAGENET
from jaxvision.models.deconvnet import DeconvNet
from jaxvision.recipes.segmentation import (
    CONVOLUTION_BIASES,
    SLOWER_SEGMENTER_ADAM,
    SegmenterConfig,
    SegmenterSetup,
    SegmenterTest,
    SegmenterView,
    smoke,
)
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config(SegmenterConfig):
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=4096,classes=1"  # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet
    window: int = 3  # height and width of fc6's kernel, in cells; a training crop has 32 pixels for each cell
    net: Literal["A", "B", "D", "E"] = "D"  # VGG's column that is mirrored; the paper's is D
    steps: int = 600  # training steps
    eval_every: int = 300  # training steps between evaluations
    view: SegmenterView = SegmenterView((96, 96), (128, 128))
    test: SegmenterTest = SegmenterTest("sliding", (96, 96), (32, 32))
    optimizer: Optimizer = SLOWER_SEGMENTER_ADAM


PRESETS = {
    "quick": Config(),
    "paper": Config(  # section 4.2, its second stage, with random crops in the place of object proposals
        data="voc:VOCdevkit/VOC2012",
        pixels=CAFFE_IMAGENET,
        width=1.0,
        window=7,
        batch_size=64,
        steps=40_000,
        eval_every=5000,
        view=SegmenterView((224, 224), (500, 500), (0.5, 1.5), flip=True),
        test=SegmenterTest("sliding", (224, 224), (112, 112)),
        optimizer=Optimizer(
            lr=0.01,
            momentum=0.9,
            weight_decay=5e-4,
            schedule="step",
            milestones=(0.25, 0.5, 0.75),
            decay_norms=True,
            lr_scale=(CONVOLUTION_BIASES + "=2",),
            decay_scale=(CONVOLUTION_BIASES + "=0",),
        ),
    ),
    "smoke": dataclasses.replace(
        smoke(Config(net="A", width=0.03125, window=2)),
        test=SegmenterTest("sliding", (64, 64), (32, 32)),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train VGG-16 and its mirror image of unpooling and transposed convolutions."""
    setup = SegmenterSetup(inputs.source(config.data, "label_maps", config.pixels), config, inputs)
    model = DeconvNet(setup.source.num_classes, config.window, config.width, net=config.net)
    return Experiment.single(
        setup.task(model),
        setup.train(),
        config.steps,
        setup.hooks(),
        presentation=setup.presentation(),
        best="val/mean_iou",
    )
