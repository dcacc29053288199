"""ResNet (He, Zhang, Ren & Sun 2016, arXiv:1512.03385).

python launch.py --experiment=classification/resnet  # digits: 0.986, 1.2 minutes, two CPU cores
python launch.py --experiment=classification/resnet --depth=20 --width=1 --augment.flip --data=folder:cifar10
python launch.py --experiment=classification/resnet --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

import flax.linen as nn

from jaxvision.data.inputs import Inputs
from jaxvision.models.resnet import CifarResNet, ResNet
from jaxvision.recipes.classification import Augment, Test, experiment
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, folder:DIR, idx:DIR, tfds:NAME
    depth: int = 18  # 18, 34, 50, 101, 152; or 20, 32, 44, 56, 110 for 32-pixel images (section 4.2)
    version: Literal["v1", "v1.5"] = "v1"  # stride of a bottleneck in its first 1×1 (the paper) or in its 3×3
    shortcut: Literal["A", "B", "C"] = "B"  # section 3.3; the 20- to 110-layer networks of the paper use A
    stem: Literal["imagenet", "cifar"] = "cifar"  # 7×7/2 and max-pool, or 3×3
    width: float = 0.25  # fraction of the paper's channels
    image_size: int = 32
    batch_size: int = 64
    steps: int = 400
    eval_every: int = 100
    augment: Augment = Augment()
    test: Test = Test()
    optimizer: Optimizer = Optimizer(lr=0.1, weight_decay=5e-4, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    "paper": Config(  # sections 3.4 and 4.1; the paper cuts lr when the error stalls, here at fixed fractions
        data="tfds:imagenet2012",
        depth=50,
        stem="imagenet",
        width=1.0,
        image_size=224,
        batch_size=256,
        steps=600_000,
        eval_every=5000,
        augment=Augment(crop="jitter", shorter=(256, 480), flip=True, color="pca"),
        test=Test("ten_crop", resize=256),
        optimizer=Optimizer(lr=0.1, weight_decay=1e-4, schedule="step", milestones=(0.5, 0.75), decay_norms=True),
    ),
    "smoke": Config(data="digits:count=32", width=0.125, batch_size=8, steps=2, eval_every=1),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train a residual network to name what is in an image."""
    source = inputs.source(config.data, "labels")
    return experiment(network(config, source.num_classes), source, config, inputs)


def network(config: Config, num_classes: int) -> nn.Module:
    """The ImageNet family, or for a depth of 6n+2 the CIFAR family."""
    if config.depth in (18, 34, 50, 101, 152):
        return ResNet(num_classes, config.depth, config.version, config.shortcut, config.stem, width=config.width)
    return CifarResNet(num_classes, config.depth, config.shortcut, config.width)
