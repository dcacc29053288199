"""DeconvNet (Noh, Hong & Han 2015, arXiv:1505.04366).

python launch.py --experiment=segmentation/deconvnet  # scenes, digits not told apart: mean IoU 0.859, 3 minutes
python launch.py --experiment=segmentation/deconvnet --preset=paper --data=voc:/data/VOC2012

Without skip connections, telling digits apart would take many more steps: the scenes have one class of objects.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import CAFFE_ILSVRC
from jaxvision.models.deconvnet import DeconvNet
from jaxvision.recipes.object_segmentation import ObjectFlags, ObjectSetup
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags
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
from jaxvision.train.steps import nothing
from jaxvision.train.types import Experiment, Stage, TrainState


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
    objects: ObjectFlags = ObjectFlags()
    proposals: SelectiveSearchFlags = SelectiveSearchFlags()
    optimizer: Optimizer = SLOWER_SEGMENTER_ADAM


PRESETS = {
    "quick": Config(),
    # Sections 4 and 5: single objects for 20,000 steps, then proposals for 40,000, from ImageNet's VGG; rates, cuts and
    # multipliers are those of the released code. Proposals are Selective Search's, those of the paper EdgeBox's;
    # objects are connected regions of one class, and each step draws one of each of its images.
    "paper": Config(
        data="voc:VOCdevkit/VOC2012",
        pixels=CAFFE_ILSVRC,
        width=1.0,
        window=7,
        batch_size=64,
        steps=40_000,
        eval_every=5000,
        objects=ObjectFlags(steps=20_000),
        view=SegmenterView((224, 224), (500, 500), flip=True),
        test=SegmenterTest("proposals", (224, 224)),
        optimizer=Optimizer(
            lr=0.01,
            momentum=0.9,
            rate_in_velocity=True,
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
    """Train VGG-16 and its mirror image of unpooling and transposed convolutions; in two stages with objects.steps."""
    source = inputs.source(config.data, "label_maps", config.pixels)
    if config.objects.steps:
        staged = ObjectSetup(source, config, inputs, flags=config.objects, search=config.proposals)
        return _in_two_stages(config, staged)
    setup = SegmenterSetup(source, config, inputs)
    model = DeconvNet(source.num_classes, config.window, config.width, net=config.net)
    return Experiment.single(
        setup.task(model),
        setup.train(),
        config.steps,
        setup.hooks(),
        presentation=setup.presentation(),
        best="val/mean_iou",
    )


def _in_two_stages(config: Config, setup: ObjectSetup) -> Experiment:
    """Train on single objects, then go on from there on proposals, of which a test image is put together."""
    if config.test.look != "proposals":
        raise ValueError("--objects.steps: proposals are tested too, with --test.look=proposals and --test.window")
    setup.check()
    first = dataclasses.replace(config.optimizer, milestones=config.objects.milestones)
    early = dataclasses.replace(config, steps=config.objects.steps, optimizer=first)
    model = DeconvNet(setup.source.num_classes, config.window, config.width, net=config.net)
    task = dataclasses.replace(setup, config=early).task(model)
    return Experiment(
        (
            Stage("proposals", nothing(), None, 0, make=setup.find_proposals),
            Stage("objects", task, setup.objects(), config.objects.steps),
            Stage("train", setup.task(model), setup.train(), config.steps, setup.hooks(), _go_on),
        ),
        setup.presentation(),
        "val/mean_iou",
    )


def _go_on(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Start from what was learned of single objects."""
    return dataclasses.replace(state, params=done["objects"].params, model_state=done["objects"].model_state)
