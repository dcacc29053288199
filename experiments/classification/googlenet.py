"""GoogLeNet (Szegedy et al. 2015, arXiv:1409.4842).

python launch.py --experiment=classification/googlenet  # digits: 0.986, 2.5 minutes, two CPU cores
python launch.py --experiment=classification/googlenet --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from typing import Literal

from jaxvision.data.inputs import Inputs
from jaxvision.models.googlenet import GoogLeNet
from jaxvision.recipes.classification import Augment, Test, experiment
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, folder:DIR, idx:DIR, tfds:NAME
    variant: Literal["paper", "torchvision"] = "torchvision"  # 5×5 and response norm, or 3×3 and batch norm
    width: float = 0.25  # fraction of the paper's channels
    image_size: int = 64  # 224 in the paper
    batch_size: int = 64
    steps: int = 400
    eval_every: int = 100
    augment: Augment = Augment()
    test: Test = Test()
    optimizer: Optimizer = Optimizer(lr=0.05, weight_decay=2e-4, schedule="cosine", warmup_steps=20)
    average_decay: float = 0.0  # of the moving average of the parameters that is tested; 0: the parameters themselves


PRESETS = {
    "quick": Config(),
    "paper": Config(  # section 6; lr falls by 4 % every 8 epochs there, which polynomial decay over the run stands for
        data="tfds:imagenet2012",
        variant="paper",
        width=1.0,
        image_size=224,
        batch_size=256,
        steps=1_200_000,
        eval_every=5000,
        augment=Augment(crop="inception", flip=True, color="photometric"),
        test=Test(resize=256),
        optimizer=Optimizer(lr=0.01, weight_decay=2e-4, schedule="polynomial", power=0.5, decay_norms=True),
        average_decay=0.9999,
    ),
    "smoke": Config(data="digits:count=32", width=0.125, batch_size=8, steps=2, eval_every=1),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train GoogLeNet to name what is in an image."""
    source = inputs.source(config.data, "labels")
    return experiment(
        GoogLeNet(source.num_classes, config.variant, config.width),
        source,
        config,
        inputs,
        average_decay=config.average_decay,
    )
