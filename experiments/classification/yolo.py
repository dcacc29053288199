"""Pre-training of YOLO's trunk (Redmon et al. 2016, arXiv:1506.02640, section 2.2) as a classifier.

python launch.py --experiment=classification/yolo
python launch.py --experiment=detection/yolo --init_from=workdir:runs/classification-yolo --pretraining.steps=0
python launch.py --experiment=classification/yolo --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import UNIT
from jaxvision.models.yolo import Classifier
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
    """Fields are flags; `quick` is the default preset. Give the network those of the detector that starts from it."""

    net: Literal["paper", "fast", "darknet", "tiny"] = (
        "tiny"  # detector whose first convolutions learn: 20; of fast 7, of tiny 8
    )
    width: float = 0.5  # fraction of the paper's channels
    stride: int = 16  # pixels of a cell of the detector's last map
    batch_norm: bool = False  # batch norm also in a net that is published without


PRESETS = {
    "quick": Config(),
    "paper": Config(  # of the schedule the paper says "approximately a week"; a polynomial is darknet's habit
        **IMAGENET,
        pixels=UNIT,
        net="paper",
        stride=64,
        batch_size=128,
        steps=600_000,
        eval_every=10_000,
        augment=INCEPTION_AUGMENT,
        test=ClassifierViews(resize=256),
        optimizer=Optimizer(lr=0.01, weight_decay=5e-4, schedule="polynomial", power=4.0),
    ),
    "smoke": Config(**SMOKE | {"width": 1 / 16}),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train the first convolutions of a detector to name the class of an image."""
    setup = ClassifierSetup(inputs.source(config.data, "labels", config.pixels), config, inputs)
    batch_norm = True if config.batch_norm else None  # None: as the net is published
    model = Classifier(setup.source.num_classes, config.net, config.width, config.stride, batch_norm)
    return setup.experiment(setup.task(model))
