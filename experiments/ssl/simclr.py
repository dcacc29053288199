"""SimCLR (Chen, Kornblith, Norouzi & Hinton 2020, arXiv:2002.05709).

python launch.py --experiment=ssl/simclr  # digits: 0.964 by nearest neighbours, 4 minutes, two CPU cores
python launch.py --experiment=ssl/simclr --data=idx:fashion-mnist --view.flip=0.5 --steps=2000
python launch.py --experiment=ssl/simclr --preset=cifar
"""

import dataclasses
from functools import partial

import flax.linen as nn

from jaxvision.data.inputs import Inputs
from jaxvision.models.layers import BatchNorm
from jaxvision.models.ssl_heads import Projected, ProjectionHead
from jaxvision.recipes.two_views import Backbone, View, contrastive
from jaxvision.tasks.simclr import simclr
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config:
    """Fields are flags; `quick` is the default preset."""

    data: str = "digits"  # digits, idx:DIR, folder:DIR, tfds:NAME
    train_split: str = "train"  # what is learned from, such as trainval or train[:90%]
    val_split: str = "val"  # what the figures are of, such as test
    image_size: int = 32  # pixels of a view
    source_size: int = 32  # pixels of the square that views are cut from
    batch_size: int = 128
    steps: int = 300
    eval_every: int = 100
    temperature: float = 0.5
    hidden: int = 128  # width of the projection head's hidden layer
    embedding: int = 64  # width of its output
    backbone: Backbone = Backbone()
    view: View = View()
    optimizer: Optimizer = Optimizer(lr=0.1, weight_decay=1e-4, schedule="cosine", warmup_steps=30)


IMAGENET = Config(  # sections 2.1 and 2.2, appendix A: lr 0.3 · batch / 256, 100 epochs, 10 of warm-up
    data="tfds:imagenet2012",
    image_size=224,
    source_size=320,
    batch_size=4096,
    steps=31_280,
    eval_every=1000,
    temperature=0.1,
    hidden=2048,
    embedding=128,
    backbone=Backbone(depth=50, stem="imagenet", width=1.0),
    view=View(area=(0.08, 1.0), flip=0.5, jitter=(0.8, 0.8, 0.8, 0.2), blur=0.5),
    optimizer=Optimizer(rule="lars", lr=4.8, weight_decay=1e-6, schedule="cosine", warmup_steps=3128),
)

PRESETS = {
    "quick": Config(),
    "paper": IMAGENET,
    "imagenet": IMAGENET,
    "cifar": Config(  # appendix B.9: half the strength of colours, no blur, 1000 epochs
        data="tfds:cifar10",
        batch_size=1024,
        steps=48_830,
        eval_every=1000,
        temperature=0.5,
        hidden=2048,
        embedding=128,
        backbone=Backbone(depth=50, width=1.0),
        view=View(area=(0.08, 1.0), flip=0.5, jitter=(0.4, 0.4, 0.4, 0.1)),
        optimizer=Optimizer(rule="lars", lr=1.0, weight_decay=1e-6, schedule="cosine", warmup_steps=488),
    ),
    "smoke": Config(
        data="digits:count=32",
        image_size=16,
        source_size=16,
        batch_size=8,
        steps=2,
        eval_every=1,
        hidden=8,
        embedding=4,
        backbone=Backbone(width=1 / 32),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn features from pairs of views."""
    source, view = inputs.source(config.data), config.view.make(config.image_size)
    task = simclr(
        partial(network, config),
        config.optimizer.make(config.steps),
        augment=view,
        mean=source.mean,
        std=source.std,
        temperature=config.temperature,
    )
    return contrastive(task, view, source, config, inputs)


def network(config: Config, axis_name: str | None) -> nn.Module:
    """Backbone and head, with batch statistics over all devices of an axis."""
    norm = partial(BatchNorm, axis_name=axis_name)
    return Projected(config.backbone.make(norm), ProjectionHead(config.embedding, (config.hidden,), norm))
