"""AlexNet (Krizhevsky, Sutskever & Hinton 2012).

python launch.py --experiment=classification/alexnet  # digits: 0.989, 0.9 minutes, two CPU cores
python launch.py --experiment=classification/alexnet --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

import flax.linen as nn

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import CAFFE
from jaxvision.models.alexnet import AlexNet
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

    variant: Literal["paper", "single", "caffenet", "torchvision"] = "paper"  # paper: two towers
    init: Literal["paper", "he"] = "he"  # paper: N(0, 0.01²), which learns slowly at first; he: He et al. 2015
    image_size: int = 99  # height and width in pixels; 227 in the paper
    steps: int = 700
    optimizer: Optimizer = Optimizer("adam", lr=0.001, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    # Section 5, 90 epochs. lr is cut three times, there when the error stalls, here at fractions of the run. Biases
    # learn at twice the rate and do not decay, as in Caffe's definition of the network.
    "paper": Config(
        **IMAGENET | {"image_size": 227},
        pixels=CAFFE,
        init="paper",
        batch_size=128,
        steps=900_000,
        eval_every=10_000,
        augment=ClassifierAugment(crop="jitter", shorter=(256, 256), flip=True, color="pca"),
        test=ClassifierViews("ten_crop", resize=256),
        optimizer=Optimizer(
            lr=0.01,
            rate_in_velocity=True,
            weight_decay=5e-4,
            schedule="step",
            milestones=(0.35, 0.65, 0.85),
            lr_scale=("bias$=2",),
        ),
    ),
    "smoke": Config(**SMOKE),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train AlexNet to name the class of an image."""
    setup = ClassifierSetup(inputs.source(config.data, "labels", config.pixels), config, inputs)
    kernel_init = nn.initializers.he_normal() if config.init == "he" else None
    model = AlexNet(setup.source.num_classes, config.variant, config.width, kernel_init=kernel_init)
    return setup.experiment(setup.task(model))
