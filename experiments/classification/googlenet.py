"""GoogLeNet (Szegedy et al. 2015, arXiv:1409.4842).

python launch.py --experiment=classification/googlenet  # digits: 0.986, 2.5 minutes, two CPU cores
python launch.py --experiment=classification/googlenet --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import CAFFE
from jaxvision.models.googlenet import GoogLeNet
from jaxvision.recipes.classification import (
    IMAGENET,
    INCEPTION_AUGMENT,
    SMOKE,
    ClassifierConfig,
    ClassifierSetup,
    ClassifierViews,
)
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config(ClassifierConfig):
    """Fields are flags; `quick` is the default preset."""

    variant: Literal["paper", "torchvision"] = "torchvision"  # 5×5 and response norm, or 3×3 and batch norm
    image_size: int = 64  # height and width in pixels; 224 in the paper
    optimizer: Optimizer = Optimizer(lr=0.05, weight_decay=2e-4, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    # Sections 6 and 7: lr falls by 4 % every 8 epochs of 1,281,167 images, parameters are averaged, 144 crops tested.
    # The paper has no number for lr, decay and length: those are of BVLC's GoogLeNet, biases' factors too. There
    # are few evaluations, since each looks at 7.2 million crops.
    "paper": Config(
        **IMAGENET,
        pixels=CAFFE,
        variant="paper",
        batch_size=256,
        steps=1_200_000,
        eval_every=100_000,
        augment=INCEPTION_AUGMENT,
        test=ClassifierViews("144_crop"),
        optimizer=Optimizer(
            lr=0.01,
            rate_in_velocity=True,
            weight_decay=2e-4,
            schedule="exponential",
            factor=0.96,
            every=40_037,
            lr_scale=("bias$=2",),
        ),
        average_decay=0.9999,
    ),
    "smoke": Config(**SMOKE, variant="paper"),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train GoogLeNet to name the class of an image."""
    setup = ClassifierSetup(inputs.source(config.data, "labels", config.pixels), config, inputs)
    model = GoogLeNet(setup.source.num_classes, config.variant, config.width)
    return setup.experiment(setup.task(model))
