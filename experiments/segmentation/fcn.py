"""FCN on VGG-16 and ResNet (Long, Shelhamer & Darrell 2015, arXiv:1411.4038; Shelhamer et al. 2017, 1605.06211).

python launch.py --experiment=segmentation/fcn  # scenes, digits not told apart: mean IoU 0.911, 2 minutes
python launch.py --experiment=segmentation/fcn --schedule=staged
python launch.py --experiment=segmentation/fcn --preset=paper --data=sbd:sbd,voc=VOC2011 --init_from=hed:hed.weights.h5
python launch.py --experiment=segmentation/fcn --preset=resnet50 --data=voc:/data/VOC2012 --workers=4

Telling digits apart would take three times as many steps: the quick preset's scenes have one class of objects.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import flax.linen as nn

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import CAFFE_ILSVRC
from jaxvision.models.fcn import FCN
from jaxvision.models.fcn_resnet import FCNResNet
from jaxvision.recipes.segmentation import (
    SLOWER_SEGMENTER_ADAM,
    SegmenterConfig,
    SegmenterSetup,
    SegmenterView,
    photos,
    smoke,
)
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment, Stage, TrainState

FCNName = Literal["fcn32s", "fcn16s", "fcn8s", "fcn_resnet50", "fcn_resnet101"]


@dataclasses.dataclass(frozen=True)
class Config(SegmenterConfig):
    """Fields are flags; `quick` is the default preset."""

    data: str = "scenes:count=2048,size=192,classes=1"  # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet
    network: FCNName = "fcn8s"  # VGG-16 whose logits are fused at strides 32, 16, 8; or torchvision's dilated ResNet
    schedule: Literal["at_once", "staged"] = "at_once"  # staged: fcn32s, then fcn16s from it, then fcn8s
    stage_lr: tuple[float, ...] = (1.0, 1.0, 1.0)  # staged: factors of optimizer.lr in the three stages
    width: float = 0.125  # fraction of the paper's channels
    batch_norm: bool = True  # VGG nets: batch norm after each convolution; the paper's start from ImageNet without it
    pad: Literal[0, 100] = 0  # pixels around an image; 0: only fc6 is padded, which small images need
    window: int = 3  # height and width of fc6's kernel, in cells
    hidden: int = 4096  # channels of fc6 and fc7, times width
    skip_scales: tuple[float, ...] = (1.0, 1.0)  # factors of pool4 and pool3; 0.01, 0.0001 for ImageNet's weights
    dropout: float = 0.0  # share of fc6's and fc7's activations dropped; 0.5 in the paper
    loss: Literal["pixels", "weights", "none"] = "pixels"  # what the loss is divided by; none: the paper's sum
    batch_size: int = 4  # images in a training step, over all devices
    steps: int = 1800  # training steps
    eval_every: int = 600  # training steps between evaluations
    view: SegmenterView = SegmenterView((192, 192), (192, 192))  # fcn8s's cells of 8 pixels are small beside a digit
    optimizer: Optimizer = SLOWER_SEGMENTER_ADAM


# Shelhamer et al. 2017, section 4.3: "heavy" learning, one image a step, at once; trained on SBD's training images and
# tested on VOC2011's validation images that are not among them, as in the released code.
_PAPER = Config(
    data="sbd:benchmark_RELEASE,voc=VOCdevkit/VOC2011",
    pixels=CAFFE_ILSVRC,
    width=1.0,
    batch_norm=False,
    pad=100,
    window=7,
    skip_scales=(0.01, 0.0001),
    dropout=0.5,
    loss="none",
    batch_size=1,
    steps=300_000,
    eval_every=20_000,
    view=SegmenterView((500, 500), (500, 500)),
    optimizer=Optimizer(lr=1e-10, momentum=0.99, rate_in_velocity=True, weight_decay=5e-4, lr_scale=("bias$=2",)),
)

PRESETS = {
    "quick": Config(),
    "photos": photos(Config(width=0.25)),
    "paper": _PAPER,
    "staged": dataclasses.replace(  # the released nets: 100,000 steps each, at rates of 1e-10, 1e-12 and 1e-14
        _PAPER, schedule="staged", stage_lr=(1.0, 1e-2, 1e-4), skip_scales=(1.0, 1.0), steps=100_000
    ),
    # torchvision's recipe: crops of 480 pixels out of images whose shorter side is 260 to 1040, polynomial schedule,
    # side classifier at ten times the rate. Tested at a shorter side of 520; images longer than 4:3 are made smaller.
    "resnet50": Config(
        data="voc:VOCdevkit/VOC2012",
        network="fcn_resnet50",
        width=1.0,
        batch_size=32,
        steps=90_000,
        eval_every=10_000,
        view=SegmenterView((480, 480), (694, 694), (0.5, 2.0), shorter=520, flip=True),
        optimizer=Optimizer(
            lr=0.02,
            weight_decay=1e-4,
            decay_norms=True,
            schedule="polynomial",
            power=0.9,
            lr_scale=("^aux_head/=10",),
        ),
    ),
    "smoke": smoke(Config(width=0.0625, batch_norm=False)),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a fully convolutional network to label every pixel."""
    setup = SegmenterSetup(inputs.source(config.data, "label_maps", config.pixels), config, inputs)
    if config.schedule == "staged":
        return _staged(config, setup)
    model = network(config, config.network, setup.source.num_classes)
    return Experiment.single(
        setup.task(model, normalise=config.loss),
        setup.train(),
        config.steps,
        setup.hooks(),
        presentation=setup.presentation(),
        best="val/mean_iou",
    )


def network(config: Config, name: FCNName, num_classes: int) -> nn.Module:
    """Make the network called `name`.

    Args:
        config: the experiment's settings, among them the network's width and padding.
        name: an FCN on VGG-16 by the stride of its output, or one on a ResNet by that one's depth.
        num_classes: channels of the logits.

    Returns:
        A model that takes images and returns "logits" [B, H, W, num_classes].
    """
    if name.startswith("fcn_resnet"):
        return FCNResNet(num_classes, int(name.removeprefix("fcn_resnet")), width=config.width)
    return FCN(
        num_classes,
        int(name.removeprefix("fcn").removesuffix("s")),
        config.width,
        config.pad,
        config.window,
        config.hidden,
        config.batch_norm,
        (config.skip_scales[0], config.skip_scales[-1]),
        config.dropout,
    )


def _staged(config: Config, setup: SegmenterSetup) -> Experiment:
    """Train the nets from coarse to fine, each from the weights of the one before (Long et al. 2015, section 4.2)."""
    if config.network != "fcn8s":
        raise ValueError(f"--schedule=staged trains fcn32s, fcn16s and fcn8s: leave out --network={config.network}")
    names: tuple[FCNName, ...] = ("fcn32s", "fcn16s", "fcn8s")
    if len(config.stage_lr) != len(names):
        raise ValueError(
            f"--stage_lr={','.join(map(str, config.stage_lr))}: give three factors, for {', '.join(names)}"
        )
    stages = []
    for before, name, factor in zip((None, *names), names, config.stage_lr, strict=False):
        optimizer = dataclasses.replace(config.optimizer, lr=config.optimizer.lr * factor)
        slowed = dataclasses.replace(setup, config=dataclasses.replace(config, optimizer=optimizer))
        task = slowed.task(network(config, name, setup.source.num_classes), normalise=config.loss)
        stages.append(Stage(name, task, setup.train(), config.steps, setup.hooks(), _grow(before) if before else None))
    return Experiment(tuple(stages), setup.presentation(), "val/mean_iou")


def _grow(before: str) -> Any:
    """Start a finer network from the trained layers of the coarser one, stage `before`."""

    def warm_start(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
        old = done[before]
        return dataclasses.replace(state, params={**state.params, **old.params}, model_state=old.model_state)

    return warm_start
