"""VGG (Simonyan & Zisserman 2015, arXiv:1409.1556).

python launch.py --experiment=classification/vgg  # digits: 0.989, 1.3 minutes, two CPU cores
python launch.py --experiment=classification/vgg --preset=paper --net=D --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.models.vgg import VGG
from jaxvision.recipes.classification import Augment, Test, experiment
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, folder:DIR, idx:DIR, tfds:NAME
    net: Literal["A", "A-LRN", "B", "C", "D", "E"] = "A"  # the columns of Table 1: 11, 11, 13, 16, 16, 19 layers
    batch_norm: bool = True  # after every convolution; not in the paper
    width: float = 0.25  # fraction of the paper's channels
    image_size: int = 32  # 224 in the paper; a multiple of 32
    batch_size: int = 64
    steps: int = 400
    eval_every: int = 100
    augment: Augment = Augment()
    test: Test = Test()
    optimizer: Optimizer = Optimizer(lr=0.05, weight_decay=5e-4, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    "paper": Config(  # section 3; the paper cuts lr three times when the accuracy stalls, here at fixed fractions
        data="tfds:imagenet2012",
        net="D",
        batch_norm=False,
        width=1.0,
        image_size=224,
        batch_size=256,
        steps=370_000,
        eval_every=5000,
        augment=Augment(crop="jitter", shorter=(256, 512), flip=True, color="pca"),
        test=Test("multi_scale"),
        optimizer=Optimizer(lr=0.01, weight_decay=5e-4, schedule="step", milestones=(0.4, 0.7, 0.9), decay_norms=True),
    ),
    "smoke": Config(data="digits:count=32", width=0.125, batch_size=8, steps=2, eval_every=1),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train VGG to name what is in an image. Its head is convolutional, so that a test image may have any size."""
    source = inputs.source(config.data, "labels")
    window = config.image_size // 32  # the size of pool5's map
    model = VGG(source.num_classes, config.net, config.batch_norm, config.width, dense=True, window=window)
    return experiment(model, source, config, inputs)
