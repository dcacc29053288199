"""MoCo (He et al. 2020, arXiv:1911.05722) and MoCo v2 (Chen, Fan, Girshick & He 2020, arXiv:2003.04297).

python launch.py --experiment=ssl/moco  # digits: 0.925 by nearest neighbours, 3 minutes, two CPU cores
python launch.py --experiment=ssl/moco --data=idx:fashion-mnist --view.flip=0.5 --steps=2000
python launch.py --experiment=ssl/moco --preset=v1
"""

import dataclasses
from functools import partial
from typing import Literal

import flax.linen as nn

from jaxvision.data.inputs import Inputs
from jaxvision.models.norms import SplitBatchNorm
from jaxvision.models.ssl_heads import Projected, ProjectionHead
from jaxvision.recipes.two_views import Backbone, View, contrastive
from jaxvision.tasks.moco import moco
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, idx:DIR, folder:DIR, tfds:NAME
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    version: Literal["v1", "v2"] = "v2"  # a linear head, or one with a hidden layer
    image_size: int = 32  # pixels of a view
    source_size: int = 32  # pixels of the square that views are cut from
    batch_size: int = 128
    steps: int = 400
    eval_every: int = 100
    temperature: float = 0.2
    queue: int = 256  # keys of earlier steps; far fewer than there are images
    momentum: float = 0.98  # share of itself that the key network keeps in a step
    groups: int = 4  # parts of a batch, each normalised by itself
    hidden: int = 128  # width of v2's hidden layer
    head_norm: bool = True  # batch norm also in the head: embeddings spread sooner; the papers have none
    embedding: int = 64  # width of the head's output
    backbone: Backbone = Backbone()
    view: View = View()
    optimizer: Optimizer = Optimizer(lr=0.1, weight_decay=1e-4, schedule="cosine")


PRESETS = {
    "quick": Config(),
    "paper": Config(  # v2: 200 epochs
        data="tfds:imagenet2012",
        image_size=224,
        source_size=320,
        batch_size=256,
        steps=1_000_900,
        eval_every=20_000,
        queue=65_536,
        momentum=0.999,
        groups=8,
        hidden=2048,
        head_norm=False,
        embedding=128,
        backbone=Backbone(depth=50, stem="imagenet", width=1.0),
        view=View(flip=0.5, jitter=(0.4, 0.4, 0.4, 0.1), blur=0.5),
        optimizer=Optimizer(lr=0.03, weight_decay=1e-4, schedule="cosine", decay_norms=True),
    ),
    "v1": Config(  # He et al. 2020, section 3.3
        data="tfds:imagenet2012",
        version="v1",
        image_size=224,
        source_size=320,
        batch_size=256,
        steps=1_000_900,
        eval_every=20_000,
        temperature=0.07,
        queue=65_536,
        momentum=0.999,
        groups=8,
        head_norm=False,
        embedding=128,
        backbone=Backbone(depth=50, stem="imagenet", width=1.0),
        view=View(flip=0.5, jitter=(0.4, 0.4, 0.4, 0.4), jitter_probability=1.0),
        optimizer=Optimizer(lr=0.03, weight_decay=1e-4, schedule="step", milestones=(0.6, 0.8), decay_norms=True),
    ),
    "fashion": Config(  # Fashion-MNIST in few steps: keys that follow sooner, batch statistics of more images
        data="idx:fashion-mnist",
        image_size=28,
        source_size=28,
        batch_size=64,
        steps=600,
        eval_every=300,
        momentum=0.9,
        groups=2,
        backbone=Backbone(stem="imagenet"),
        view=View(area=(0.3, 1.0), flip=0.5, jitter=(0.4, 0.4, 0.0, 0.0), grayscale=0.0),
        optimizer=Optimizer(rule="adam", lr=0.004, weight_decay=1e-4, schedule="cosine", warmup_steps=50),
    ),
    "smoke": Config(
        data="digits:count=32",
        image_size=16,
        source_size=16,
        batch_size=8,
        steps=2,
        eval_every=1,
        queue=11,
        groups=2,
        hidden=8,
        embedding=4,
        backbone=Backbone(width=1 / 32),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn features by telling an image's key from a queue of others."""
    source, view = inputs.source(config.data), config.view.make(config.image_size)
    task = moco(
        partial(network, config),
        config.optimizer.make(config.steps),
        augment=view,
        mean=source.mean,
        std=source.std,
        temperature=config.temperature,
        queue=config.queue,
        momentum=config.momentum,
        groups=config.groups,
    )
    return contrastive(task, view, source, config, inputs)


def network(config: Config, groups: int) -> nn.Module:
    """Backbone and head, which normalise each of `groups` parts of their batch by itself."""
    hidden = (config.hidden,) if config.version == "v2" else ()
    norm = partial(SplitBatchNorm, groups=groups)
    head = ProjectionHead(config.embedding, hidden, norm if config.head_norm else None)
    return Projected(config.backbone.make(norm), head)
