"""Jigsaw puzzles (Noroozi & Favaro 2016, arXiv:1603.09246).

python launch.py --experiment=ssl/jigsaw  # digits: all held-out puzzles; 4 minutes beside other jobs
python launch.py --experiment=ssl/jigsaw --data=idx:fashion-mnist --permutations=100
python launch.py --experiment=ssl/jigsaw --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses

import jax.numpy as jnp

from jaxvision.data.inputs import Inputs
from jaxvision.models.pretext_heads import PieceClassifier
from jaxvision.ops.permutations import spread
from jaxvision.recipes.pretext import Crop, answering
from jaxvision.recipes.two_views import Backbone
from jaxvision.tasks.questions import jigsaw
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment
from jaxvision.viz.pretext import jigsaws


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, scenes, idx:DIR, folder:DIR, tfds:NAME
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    image_size: int = 48  # pixels of the square that puzzles are cut from
    cell: int = 15  # pixels of a cell; a puzzle is three by three of them
    tile: int = 12  # pixels of a tile, anywhere in its cell
    shift: int = 1  # pixels by which a colour channel of a tile may lie elsewhere, either way
    grey: float = 0.3  # share of images without colour
    permutations: int = 24  # that are told apart
    tower: int = 64  # units of fc6, on each tile
    joint: int = 128  # units of fc7, on all nine
    batch_size: int = 32
    steps: int = 400
    eval_every: int = 200
    crop: Crop = Crop((48, 52))
    backbone: Backbone = Backbone()
    optimizer: Optimizer = Optimizer(lr=0.05, weight_decay=5e-4, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    "paper": Config(  # section 4, with a ResNet in the place of AlexNet's layers
        data="tfds:imagenet2012",
        image_size=256,
        cell=75,
        tile=64,
        shift=2,
        permutations=1000,
        tower=512,
        joint=4096,
        batch_size=256,
        steps=350_000,
        eval_every=10_000,
        crop=Crop((256, 288)),
        backbone=Backbone(stem="imagenet", width=1.0),
        optimizer=Optimizer(lr=0.01, weight_decay=5e-4, schedule="step", milestones=(0.33, 0.66), warmup_steps=5000),
    ),
    "fashion": Config(  # Fashion-MNIST: grey images of 28 pixels, which have no fringes of colour to hide
        data="idx:fashion-mnist",
        image_size=28,
        cell=9,
        tile=8,
        shift=0,
        grey=1.0,
        steps=600,
        eval_every=300,
        crop=Crop((28, 32), flip=True),
    ),
    "smoke": Config(
        data="digits:count=16",
        image_size=32,
        cell=10,
        tile=8,
        permutations=4,
        tower=8,
        joint=8,
        batch_size=8,
        steps=2,
        eval_every=2,
        crop=Crop((32, 34)),
        backbone=Backbone(width=1 / 32),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn to tell in which of some permutations the tiles of an image are."""
    source, orders = inputs.source(config.data), spread(config.permutations)
    ask = jigsaw(
        jnp.asarray(orders, jnp.int32), cell=config.cell, tile=config.tile, shift=config.shift, grey=config.grey
    )
    model = PieceClassifier(config.backbone.make(), config.permutations, config.tower, config.joint)
    return answering(
        model,
        ask,
        source,
        config,
        inputs,
        lambda outputs, batch: jigsaws(
            outputs["pieces"][:, 0], outputs["probabilities"][:, 0], outputs["answers"][:, 0], orders
        ),
    )
