"""ResNet (He, Zhang, Ren & Sun 2016, arXiv:1512.03385).

python launch.py --experiment=classification/resnet  # digits: 0.986, 1.2 minutes, two CPU cores
python launch.py --experiment=classification/resnet --depth=20 --width=1 --augment.flip --data=folder:cifar10
python launch.py --experiment=classification/resnet --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

import flax.linen as nn

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import CAFFE
from jaxvision.models.resnet import BLOCKS, CifarResNet, ResNet
from jaxvision.recipes.classification import (
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
    shortcut: Literal["A", "B", "C"] = "B"  # section 3.3; the 20- to 110-layer networks of the paper use A
    stem: Literal["imagenet", "cifar"] = "cifar"  # 7×7/2 and max-pool, or 3×3
    optimizer: Optimizer = Optimizer(lr=0.1, weight_decay=5e-4, schedule="cosine", warmup_steps=20)


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
    "smoke": Config(**SMOKE, depth=10),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a residual network to name the class of an image."""
    setup = ClassifierSetup(inputs.source(config.data, "labels", config.pixels), config, inputs)
    model = network(config, setup.source.num_classes)
    task = setup.task(model)
    return Experiment.single(
        task, setup.train(), config.steps, setup.hooks(), presentation=setup.presentation(), best="val/accuracy"
    )


def network(config: Config, num_classes: int) -> nn.Module:
    """Return a network of the ImageNet family, or for a depth of 6n+2 of the CIFAR family."""
    if config.depth in BLOCKS:
        return ResNet(num_classes, config.depth, config.version, config.shortcut, config.stem, width=config.width)
    return CifarResNet(num_classes, config.depth, config.shortcut, config.width)
