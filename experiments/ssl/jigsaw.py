"""Jigsaw puzzles (Noroozi & Favaro 2016, arXiv:1603.09246).

python launch.py --experiment=ssl/jigsaw  # digits: all held-out puzzles; 4 minutes beside other jobs
python launch.py --experiment=ssl/jigsaw --data=idx:fashion-mnist --permutations=100
python launch.py --experiment=ssl/jigsaw --preset=paper --data=tfds:imagenet2012 --workers=8
"""

import dataclasses
from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, UInt8

from jaxvision.data.inputs import Inputs
from jaxvision.models.pretext_heads import PieceClassifier
from jaxvision.ops.permutations import spread
from jaxvision.recipes.backbone import Backbone
from jaxvision.recipes.pretext import IMAGENET, SMOKE, PretextConfig, PretextCrop, PretextSetup
from jaxvision.tasks.questions import jigsaw
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Batch, Experiment, PyTree
from jaxvision.viz.pretext import jigsaws


@dataclasses.dataclass(frozen=True)
class Config(PretextConfig):
    """Fields are flags; `quick` is the default preset."""

    image_size: int = 48  # height and width in pixels of the square that puzzles are cut from
    cell: int = 15  # height and width of a cell in pixels; a puzzle is three by three of them
    tile: int = 12  # height and width of a tile in pixels; it lies anywhere in its cell
    shift: int = 1  # most pixels by which a colour channel of a tile is moved at random, either way
    grey: float = 0.3  # share of the images that lose their colours
    permutations: int = 24  # orders of the tiles, which are told apart
    tower: int = 64  # units of fc6, on each tile
    joint: int = 128  # units of fc7, on all nine tiles
    crop: PretextCrop = PretextCrop((48, 52))


PRESETS = {
    "quick": Config(),
    "paper": Config(  # section 4: CaffeNet's convolutions on each tile; fc6 and fc7 have batch norm, the paper's none
        **{**IMAGENET, "backbone": Backbone("alexnet_pieces", width=1.0)},
        image_size=256,
        cell=75,
        tile=64,
        shift=2,
        permutations=1000,
        tower=512,
        joint=4096,
        batch_size=256,
        steps=350_000,
        crop=PretextCrop((256, 256)),
        optimizer=Optimizer(
            lr=0.01,
            rate_in_velocity=True,
            weight_decay=5e-4,
            schedule="step",
            milestones=(2 / 7, 4 / 7, 6 / 7),
        ),
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
        crop=PretextCrop((28, 32), flip=True),
    ),
    "smoke": Config(
        **SMOKE,
        image_size=32,
        cell=10,
        tile=8,
        permutations=4,
        tower=8,
        joint=8,
        batch_size=8,
        crop=PretextCrop((32, 34)),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn to tell in which of some permutations the tiles of an image are."""
    orders = spread(config.permutations)
    setup = PretextSetup(inputs.source(config.data), config, inputs, partial(_draw, orders=orders))
    ask = jigsaw(
        jnp.asarray(orders, jnp.int32), cell=config.cell, tile=config.tile, shift=config.shift, grey=config.grey
    )
    model = PieceClassifier(config.backbone.make(), config.permutations, config.tower, config.joint)
    return setup.experiment(setup.task(model, ask))


def _draw(outputs: PyTree, batch: Batch, *, orders: Int[np.ndarray, "P 9"]) -> UInt8[np.ndarray, "H W 3"]:
    return jigsaws(outputs["pieces"][:, 0], outputs["probabilities"][:, 0], outputs["answers"][:, 0], orders)
