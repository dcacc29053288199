"""AlexNet (Krizhevsky, Sutskever & Hinton 2012).

python launch.py --experiment=classification/alexnet  # digits: 0.989, 0.9 minutes, two CPU cores
python launch.py --experiment=classification/alexnet --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

import flax.linen as nn

from jaxvision.data.inputs import Inputs
from jaxvision.models.alexnet import AlexNet
from jaxvision.recipes.classification import Augment, Test, experiment
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, folder:DIR, idx:DIR, tfds:NAME
    variant: Literal["paper", "single", "caffenet", "torchvision"] = "paper"  # paper: two towers
    init: Literal["paper", "he"] = "he"  # N(0, 0.01²), which takes long to get going; or He et al. 2015
    width: float = 0.25  # fraction of the paper's channels
    image_size: int = 99  # 227 in the paper
    batch_size: int = 64
    steps: int = 700
    eval_every: int = 100
    augment: Augment = Augment()
    test: Test = Test()
    optimizer: Optimizer = Optimizer("adam", lr=0.001, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    "paper": Config(  # section 5, 90 epochs; lr is cut three times, there when the error stalls, here at fractions
        data="tfds:imagenet2012",
        init="paper",
        width=1.0,
        image_size=227,
        batch_size=128,
        steps=900_000,
        eval_every=10_000,
        augment=Augment(crop="jitter", shorter=(256, 256), flip=True, color="pca"),
        test=Test("ten_crop", resize=256),
        optimizer=Optimizer(
            lr=0.01, weight_decay=5e-4, schedule="step", milestones=(0.35, 0.65, 0.85), decay_norms=True
        ),
    ),
    "smoke": Config(data="digits:count=32", width=0.125, batch_size=8, steps=2, eval_every=1),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train AlexNet to name what is in an image."""
    source = inputs.source(config.data, "labels")
    kernel_init = nn.initializers.he_normal() if config.init == "he" else None
    model = AlexNet(source.num_classes, config.variant, config.width, kernel_init=kernel_init)
    return experiment(model, source, config, inputs)
