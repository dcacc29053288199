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
from jaxvision.models.precision import in_precision
from jaxvision.models.ssl_heads import Projected, ProjectionHead
from jaxvision.recipes.backbone import Backbone
from jaxvision.recipes.two_views import IMAGENET, SMOKE, ContrastiveConfig, ContrastiveSetup, ContrastiveView
from jaxvision.tasks.moco import moco
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config(ContrastiveConfig):
    """Fields are flags; `quick` is the default preset."""

    version: Literal["v1", "v2"] = "v2"  # a linear projection head, or one with a hidden layer
    queue: int = 256  # keys of earlier steps; far fewer than there are images
    momentum: float = 0.98  # share of itself that the key network keeps in a step
    groups: int = 4  # parts of a batch, each normalised by itself
    shuffle: bool = True  # keys are in other groups than their queries, whose statistics would give them away
    hidden: int = 128  # width of v2's hidden layer
    head_norm: bool = True  # batch norm also in the head: embeddings spread sooner; the papers have none


V2 = Config(  # 200 epochs
    **IMAGENET,
    batch_size=256,
    steps=1_000_900,
    eval_every=20_000,
    queue=65_536,
    momentum=0.999,
    groups=8,
    hidden=2048,
    head_norm=False,
    view=ContrastiveView(flip=0.5, jitter=(0.4, 0.4, 0.4, 0.1), blur=0.5),
    optimizer=Optimizer(lr=0.03, weight_decay=1e-4, schedule="cosine", decay_norms=True),
)

PRESETS = {
    "quick": Config(),
    "paper": V2,
    "v1": dataclasses.replace(  # He et al. 2020, section 3.3
        V2,
        version="v1",
        temperature=0.07,
        hidden=128,
        view=ContrastiveView(flip=0.5, jitter=(0.4, 0.4, 0.4, 0.4), jitter_probability=1.0),
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
        view=ContrastiveView(area=(0.3, 1.0), flip=0.5, jitter=(0.4, 0.4, 0.0, 0.0), grayscale=0.0),
        optimizer=Optimizer(rule="adam", lr=0.004, weight_decay=1e-4, schedule="cosine", warmup_steps=50),
    ),
    "smoke": Config(**SMOKE, queue=11, groups=2),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn features by telling an image's key from a queue of other images' keys."""
    setup = ContrastiveSetup(inputs.source(config.data), config, inputs)
    optimizer = config.optimizer.at(config.batch_size)
    task = moco(
        partial(network, config, inputs.precision),
        optimizer.make(config.steps),
        augment=setup.augmentation(),
        mean=setup.source.mean,
        std=setup.source.std,
        temperature=config.temperature,
        queue=config.queue,
        momentum=config.momentum,
        groups=config.groups,
        shuffle=config.shuffle,
        sent_as="bfloat16" if inputs.precision == "bfloat16" else "float32",
    )
    task = log_rate(task, optimizer, config.steps)
    return Experiment.single(
        task, setup.train(), config.steps, setup.hooks(), best="knn/accuracy", embedding=setup.embedding
    )


def network(config: Config, precision: str, groups: int) -> nn.Module:
    """Return backbone and head.

    Args:
        config: the experiment's settings.
        precision: what they compute in, as `--precision` has it.
        groups: parts of the batch, each of which is normalised by itself.

    Returns:
        A model with "pool" and "embedding".
    """
    hidden = (config.hidden,) if config.version == "v2" else ()
    norm = partial(SplitBatchNorm, groups=groups)
    head = ProjectionHead(config.embedding, hidden, norm if config.head_norm else None)
    return in_precision(Projected(config.backbone.make(norm), head), precision)
