"""ResNet (He, Zhang, Ren & Sun 2016, arXiv:1512.03385).

python launch.py --experiment=classification/resnet  # digits: 0.986, 1.2 minutes, two CPU cores
python launch.py --experiment=classification/resnet --preset=cifar20 --data=tfds:cifar10 --workers=4
python launch.py --experiment=classification/resnet --preset=paper --data=tfds:imagenet2012 --workers=8
python launch.py --experiment=classification/resnet --preset=flax --batch_size=1024 --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

import flax.linen as nn

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import CAFFE
from jaxvision.models.resnet import BLOCKS, CifarResNet, ResNet
from jaxvision.recipes.classification import (
    CIFAR,
    IMAGENET,
    SMOKE,
    ClassifierAugment,
    ClassifierConfig,
    ClassifierSetup,
    ClassifierViews,
)
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config(ClassifierConfig):
    """Fields are flags; `quick` is the default preset."""

    depth: int = 18  # 18, 34, 50, 101, 152, 10 for tiny data; or 20, 32, 44, 56, 110 for 32-pixel images (section 4.2)
    version: Literal["v1", "v1.5"] = "v1"  # where a bottleneck has its stride: first 1×1 (the paper), or 3×3
    shortcut: Literal["A", "B", "C", "none"] = "B"  # section 3.3; A: as in 20 to 110 layers; none: a plain network
    stem: Literal["imagenet", "cifar"] = "cifar"  # 7×7/2 and max-pool, or 3×3
    remat: bool = False  # keep a block's ends alone for the gradient: less memory, a third more time
    zero_init: bool = False  # each block of an ImageNet network starts as its shortcut (Goyal et al. 2017, section 5.1)
    optimizer: Optimizer = Optimizer(lr=0.1, weight_decay=5e-4, schedule="cosine", warmup_steps=20)


_CIFAR = Config(**CIFAR, shortcut="A")

_EPOCH = 1_281_167 / 256  # steps of 256 images in one pass over ImageNet

_TORCHVISION = Config(  # its first recipe, the one of the weights V1: 90 epochs
    **IMAGENET,
    depth=50,
    version="v1.5",
    stem="imagenet",
    batch_size=256,
    steps=round(90 * _EPOCH),
    eval_every=round(_EPOCH),
    augment=ClassifierAugment(crop="inception", flip=True),
    test=ClassifierViews(resize=256),
    optimizer=Optimizer(lr=0.1, weight_decay=1e-4, schedule="step", milestones=(1 / 3, 2 / 3), decay_norms=True),
)

PRESETS = {
    "quick": Config(),
    "paper": Config(  # sections 3.4 and 4.1; the paper cuts lr when the error stalls, here at fixed fractions
        **IMAGENET,
        pixels=CAFFE,
        depth=50,
        stem="imagenet",
        batch_size=256,
        steps=600_000,
        eval_every=5000,
        augment=ClassifierAugment(crop="jitter", shorter=(256, 480), flip=True, color="pca"),
        test=ClassifierViews("ten_crop", resize=256),
        optimizer=Optimizer(lr=0.1, weight_decay=1e-4, schedule="step", milestones=(0.5, 0.75), decay_norms=True),
    ),
    "torchvision": _TORCHVISION,
    # flax's examples/imagenet: 100 epochs, lr 0.1 for 256 images and in proportion for others, blocks that start as
    # their shortcuts. Its loss has no label smoothing; for that of later recipes give --augment.label_smoothing=0.1.
    "flax": dataclasses.replace(
        _TORCHVISION,
        steps=round(100 * _EPOCH),
        zero_init=True,
        optimizer=Optimizer(
            lr=0.1,
            lr_per=256,
            weight_decay=1e-4,
            nesterov=True,
            schedule="cosine",
            warmup_steps=round(5 * _EPOCH),
        ),
    ),
    "cifar20": dataclasses.replace(_CIFAR, depth=20),
    "cifar32": dataclasses.replace(_CIFAR, depth=32),
    "cifar44": dataclasses.replace(_CIFAR, depth=44),
    "cifar56": dataclasses.replace(_CIFAR, depth=56),
    # The paper begins at 0.01 until the training error is below 80 %, "about 400 iterations".
    "cifar110": dataclasses.replace(
        _CIFAR,
        depth=110,
        optimizer=dataclasses.replace(_CIFAR.optimizer, warmup_steps=400, warmup_from=0.1, warmup_flat=True),
    ),
    "smoke": Config(**SMOKE, depth=10),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a residual network to name the class of an image."""
    setup = ClassifierSetup(inputs.source(config.data, "labels", config.pixels), config, inputs)
    model = network(config, setup.source.num_classes)
    return setup.experiment(setup.task(model))


def network(config: Config, num_classes: int) -> nn.Module:
    """Return a network of the ImageNet family, or for a depth of 6n+2 of the CIFAR family."""
    if config.depth in BLOCKS:
        return ResNet(
            num_classes,
            config.depth,
            config.version,
            config.shortcut,
            config.stem,
            width=config.width,
            zero_init=config.zero_init,
            remat=config.remat,
        )
    return CifarResNet(num_classes, config.depth, config.shortcut, config.width, remat=config.remat)
