"""Rotation prediction (Gidaris, Singh & Komodakis 2018, arXiv:1803.07728).

python launch.py --experiment=ssl/rotation  # digits: 0.946 of held-out turns named, of which chance is 0.25
python launch.py --experiment=ssl/rotation --data=idx:fashion-mnist
python launch.py --experiment=ssl/rotation --preset=paper --data=tfds:cifar10
"""

import dataclasses

import numpy as np
from jaxtyping import UInt8

from jaxvision.data.inputs import Inputs
from jaxvision.models.pretext_heads import PieceClassifier
from jaxvision.recipes.backbone import Backbone
from jaxvision.recipes.pretext import SMOKE, PretextConfig, PretextCrop, PretextSetup
from jaxvision.tasks.questions import rotation
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Batch, Experiment, PyTree
from jaxvision.viz.pretext import rotations


@dataclasses.dataclass(frozen=True)
class Config(PretextConfig):
    """Fields are flags; `quick` is the default preset."""

    batch_size: int = 16  # images in a training step, each of which is seen at four angles


PRESETS = {
    "quick": Config(),
    "paper": Config(  # section 3.1: 100 epochs of CIFAR-10, a Network in Network of four blocks
        data="tfds:cifar10",
        batch_size=128,
        steps=39_000,
        eval_every=1950,
        crop=PretextCrop((32, 40), flip=True),
        backbone=Backbone("nin", width=1.0),
        optimizer=Optimizer(
            lr=0.1,
            weight_decay=5e-4,
            decay_norms=True,
            nesterov=True,
            schedule="step",
            milestones=(0.3, 0.6, 0.8),
            factor=0.2,
        ),
    ),
    "smoke": Config(**SMOKE, image_size=16, batch_size=4, crop=PretextCrop((16, 18))),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn to tell by which of four angles an image was turned."""
    setup = PretextSetup(inputs.source(config.data), config, inputs, _draw)
    model = PieceClassifier(config.backbone.make(), num_classes=4)
    return setup.experiment(setup.task(model, rotation(mean=setup.source.mean, std=setup.source.std)))


def _draw(outputs: PyTree, batch: Batch) -> UInt8[np.ndarray, "H W 3"]:
    return rotations(outputs["pieces"][:, :, 0], outputs["probabilities"])
