"""FCN on VGG-16 and ResNet (Long, Shelhamer & Darrell 2015, arXiv:1411.4038; Shelhamer et al. 2017, 1605.06211).

python launch.py --experiment=segmentation/fcn  # scenes, digits not told apart: mean IoU 0.911, 2 minutes
python launch.py --experiment=segmentation/fcn --schedule=staged
python launch.py --experiment=segmentation/fcn --preset=paper --data=voc:/data/VOC2012 --init_from=hed:hed.weights.h5
python launch.py --experiment=segmentation/fcn --preset=resnet50 --data=voc:/data/VOC2012 --workers=4
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import flax.linen as nn

from jaxvision.data.inputs import Inputs
from jaxvision.models.fcn import FCN
from jaxvision.models.fcn_resnet import FCNResNet
from jaxvision.recipes.segmentation import ADAM, PHOTOS, SMALL, Setup, Test, View
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment, Stage, TrainState

Network = Literal["fcn32s", "fcn16s", "fcn8s", "fcn_resnet50", "fcn_resnet101"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    # scenes, masks:DIR, voc:DIR, tfds:oxford_iiit_pet. To tell digits apart takes three times as many steps.
    data: str = "scenes:count=2048,size=192,classes=1"
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    network: Network = "fcn8s"  # how fine the maps are that the VGG nets fuse; or torchvision's, on a dilated ResNet
    schedule: Literal["at_once", "staged"] = "at_once"  # staged: fcn32s, then fcn16s from it, then fcn8s
    width: float = 0.125  # fraction of the paper's channels
    batch_norm: bool = True  # in the VGG nets, which the paper's, from ImageNet's weights, do without
    pad: Literal[0, 100] = 0  # pixels around an image; 0: only fc6 is padded, which small images need
    window: int = 3  # cells of fc6's side
    hidden: int = 4096  # channels of fc6 and fc7, times width
    skip_scales: tuple[float, ...] = (1.0, 1.0)  # of pool4 and pool3; 0.01, 0.0001 for ImageNet's weights
    dropout: float = 0.0  # behind fc6 and fc7; 0.5 in the paper
    loss: Literal["pixels", "weights", "none"] = "pixels"  # what a loss is divided by; none: the paper's sum
    class_weights: Literal["none", "median_frequency"] = "none"
    batch_size: int = 4
    steps: int = 1800
    eval_every: int = 600
    view: View = View((192, 192), (192, 192))  # a cell of 8 pixels is then little beside a digit
    test: Test = Test()
    optimizer: Optimizer = dataclasses.replace(ADAM, lr=0.002)


PRESETS = {
    "quick": Config(),
    "photos": Config(  # a few hundred photographs of one's own, from random weights
        data="masks:photos",
        width=0.25,
        batch_size=4,
        steps=1200,
        eval_every=600,
        view=PHOTOS,
        optimizer=dataclasses.replace(ADAM, lr=0.002),
    ),
    "paper": Config(  # Shelhamer et al. 2017, section 4.3: "heavy" learning, one image a step, at once
        data="voc:VOCdevkit/VOC2012",
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
        view=View((500, 500), (500, 500)),
        optimizer=Optimizer(lr=1e-10, momentum=0.99, weight_decay=5e-4),
    ),
    "resnet50": Config(  # torchvision's recipe: crops of 480 pixels, polynomial schedule, side classifier
        data="voc:VOCdevkit/VOC2012",
        network="fcn_resnet50",
        width=1.0,
        batch_size=32,
        steps=90_000,
        eval_every=10_000,
        view=View((480, 480), (520, 520), (0.5, 2.0), flip=True),
        optimizer=Optimizer(lr=0.02, weight_decay=1e-4, schedule="polynomial", power=0.9),
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
    """Train a fully convolutional network to name every pixel."""
    setup = Setup(inputs.source(config.data, "label_maps"), config, inputs)
    model = network(config, config.network, setup.source.num_classes)
    if config.schedule == "at_once":
        return setup.experiment(model, normalise=config.loss)
    return _staged(config, setup)


def network(config: Config, name: Network, num_classes: int) -> nn.Module:
    """The network of that name."""
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


def _staged(config: Config, setup: Setup) -> Experiment:
    """Coarse to fine, each from what the one before has learned (Long et al. 2015, section 4.2)."""
    if config.network != "fcn8s":
        raise ValueError(f"--schedule=staged trains fcn32s, fcn16s and fcn8s: leave out --network={config.network}")
    names: tuple[Network, ...] = ("fcn32s", "fcn16s", "fcn8s")
    stages = []
    for before, name in zip((None, *names), names, strict=False):
        task = setup.task(network(config, name, setup.source.num_classes), normalise=config.loss)
        stages.append(Stage(name, task, setup.train(), config.steps, setup.hooks(), _grow(before) if before else None))
    return Experiment(tuple(stages), setup.presentation(), "val/mean_iou")


def _grow(before: str) -> Any:
    """A finer network begins with the coarser one's layers."""

    def warm_start(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
        old = done[before]
        return dataclasses.replace(state, params={**state.params, **old.params}, model_state=old.model_state)

    return warm_start
