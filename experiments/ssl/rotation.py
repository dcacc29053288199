"""Rotation prediction (Gidaris, Singh & Komodakis 2018, arXiv:1803.07728).

python launch.py --experiment=ssl/rotation  # digits: 0.946 of held-out turns named, of which chance is 0.25
python launch.py --experiment=ssl/rotation --data=idx:fashion-mnist
python launch.py --experiment=ssl/rotation --preset=paper --data=tfds:cifar10
"""

import dataclasses

from jaxvision.data.inputs import Inputs
from jaxvision.models.pretext_heads import PieceClassifier
from jaxvision.recipes.pretext import Crop, answering
from jaxvision.recipes.two_views import Backbone
from jaxvision.tasks.questions import rotation
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment
from jaxvision.viz.pretext import rotations


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, scenes, idx:DIR, folder:DIR, tfds:NAME
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    image_size: int = 32  # pixels
    batch_size: int = 16  # images, each of which is seen at four angles
    steps: int = 400
    eval_every: int = 200
    crop: Crop = Crop()
    backbone: Backbone = Backbone()
    optimizer: Optimizer = Optimizer(lr=0.05, weight_decay=5e-4, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    "paper": Config(  # section 3.1: 100 epochs of CIFAR-10, with a ResNet in the place of Network in Network
        data="tfds:cifar10",
        batch_size=128,
        steps=39_000,
        eval_every=1950,
        crop=Crop((32, 40), flip=True),
        backbone=Backbone(width=1.0),
        optimizer=Optimizer(
            lr=0.1, weight_decay=5e-4, nesterov=True, schedule="step", milestones=(0.3, 0.6, 0.8), factor=0.2
        ),
    ),
    "smoke": Config(
        data="digits:count=16",
        image_size=16,
        batch_size=4,
        steps=2,
        eval_every=2,
        crop=Crop((16, 18)),
        backbone=Backbone(width=1 / 32),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn to tell by which of four angles an image was turned."""
    source = inputs.source(config.data)
    model = PieceClassifier(config.backbone.make(), num_classes=4)
    return answering(
        model,
        rotation(mean=source.mean, std=source.std),
        source,
        config,
        inputs,
        lambda outputs, batch: rotations(outputs["pieces"][:, :, 0], outputs["probabilities"]),
    )
