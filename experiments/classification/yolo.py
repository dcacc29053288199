"""Pre-training of YOLO's trunk (Redmon et al. 2016, arXiv:1506.02640, section 2.2) as a classifier.

python launch.py --experiment=classification/yolo
python launch.py --experiment=detection/yolo --init_from=workdir:runs/classification-yolo --pretraining.steps=0
python launch.py --experiment=classification/yolo --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.models.yolo import Classifier
from jaxvision.recipes.classification import Augment, Test, experiment
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset. The network's are those of the detector that goes on from it."""

    data: str = "digits"  # digits, folder:DIR, idx:DIR, tfds:NAME
    net: Literal["paper", "fast", "darknet", "tiny"] = "tiny"  # whose first convolutions: 20; of fast 7, of tiny 8
    width: float = 0.5  # fraction of the paper's channels
    stride: int = 16  # pixels of a cell of the detector's last map
    batch_norm: bool = False  # also where the net is published without
    image_size: int = 32
    batch_size: int = 64
    steps: int = 400
    eval_every: int = 100
    augment: Augment = Augment()
    test: Test = Test()
    optimizer: Optimizer = Optimizer(lr=0.05, weight_decay=5e-4, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    "paper": Config(  # of the schedule the paper says "approximately a week"; a polynomial is darknet's habit
        data="tfds:imagenet2012",
        net="paper",
        width=1.0,
        stride=64,
        image_size=224,
        batch_size=128,
        steps=600_000,
        eval_every=10_000,
        augment=Augment(crop="inception", flip=True, color="photometric"),
        test=Test(resize=256),
        optimizer=Optimizer(lr=0.01, weight_decay=5e-4, schedule="polynomial", power=4.0, decay_norms=True),
    ),
    "smoke": Config(data="digits:count=32", width=1 / 16, batch_size=8, steps=2, eval_every=1),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train the first convolutions of a detector to name what is in an image."""
    source = inputs.source(config.data, "labels")
    model = Classifier(source.num_classes, config.net, config.width, config.stride, True if config.batch_norm else None)
    return experiment(model, source, config, inputs)
