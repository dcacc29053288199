"""VGG (Simonyan & Zisserman 2015, arXiv:1409.1556).

python launch.py --experiment=classification/vgg  # digits: 0.989, 1.3 minutes, two CPU cores
python launch.py --experiment=classification/vgg --preset=paper --net=D --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import CAFFE
from jaxvision.models.vgg import VGG
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

    net: Literal["A", "A-LRN", "B", "C", "D", "E"] = "A"  # the columns of Table 1: 11, 11, 13, 16, 16, 19 layers
    batch_norm: bool = True  # batch norm after every convolution; not in the paper
    image_size: int = 32  # height and width in pixels, a multiple of 32; 224 in the paper


PRESETS = {
    "quick": Config(),
    # Section 3. The paper cuts lr three times when the accuracy stalls, here at fixed fractions. Biases learn at twice
    # the rate and do not decay, as in Caffe, from which the paper's code is derived. The test is dense, on whole images
    # of three sizes.
    "paper": Config(
        **IMAGENET,
        pixels=CAFFE,
        net="D",
        batch_norm=False,
        batch_size=256,
        steps=370_000,
        eval_every=5000,
        augment=ClassifierAugment(crop="jitter", shorter=(256, 512), flip=True, color="pca"),
        test=ClassifierViews("multi_scale", whole=True),
        optimizer=Optimizer(
            lr=0.01,
            rate_in_velocity=True,
            weight_decay=5e-4,
            schedule="step",
            milestones=(0.4, 0.7, 0.9),
            lr_scale=("bias$=2",),
        ),
    ),
    "smoke": Config(**SMOKE, batch_norm=False),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train VGG to name the class of an image. Its head is convolutional, so that a test image may have any size."""
    setup = ClassifierSetup(inputs.source(config.data, "labels", config.pixels), config, inputs)
    window = config.image_size // 32  # the size of pool5's map
    model = VGG(setup.source.num_classes, config.net, config.batch_norm, config.width, dense=True, window=window)
    return setup.experiment(setup.task(model))
