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
from jaxvision.models.precision import in_precision
from jaxvision.models.ssl_heads import Projected, ProjectionHead
from jaxvision.recipes.backbone import Backbone
from jaxvision.recipes.two_views import IMAGENET, SMOKE, ContrastiveConfig, ContrastiveSetup, ContrastiveView
from jaxvision.tasks.simclr import simclr
from jaxvision.train.optim import Optimizer
from jaxvision.train.rates import log_rate
from jaxvision.train.types import Experiment


@dataclasses.dataclass(frozen=True)
class Config(ContrastiveConfig):
    """Fields are flags; `quick` is the default preset."""

    steps: int = 300
    temperature: float = 0.5
    optimizer: Optimizer = Optimizer(lr=0.1, weight_decay=1e-4, schedule="cosine", warmup_steps=30)


PAPER = Config(  # sections 2.1 and 2.2, appendix A: lr 0.3 · batch / 256, 100 epochs, 10 of warm-up
    **IMAGENET,
    batch_size=4096,
    steps=31_280,
    eval_every=1000,
    temperature=0.1,
    hidden=2048,
    view=ContrastiveView(area=(0.08, 1.0), flip=0.5, jitter=(0.8, 0.8, 0.8, 0.2), blur=0.5),
    optimizer=Optimizer(rule="lars", lr=4.8, weight_decay=1e-6, schedule="cosine", warmup_steps=3128),
)

CIFAR_VIEW = dataclasses.replace(PAPER.view, jitter=(0.4, 0.4, 0.4, 0.1), blur=0.0)

PRESETS = {
    "quick": Config(),
    "paper": PAPER,
    "imagenet": PAPER,
    "cifar": dataclasses.replace(  # appendix B.9: half the strength of colours, no blur, 1000 epochs
        PAPER,
        data="tfds:cifar10",
        image_size=32,
        source_size=32,
        batch_size=1024,
        steps=48_830,
        temperature=0.5,
        backbone=Backbone(depth=50, width=1.0),
        view=CIFAR_VIEW,
        optimizer=dataclasses.replace(PAPER.optimizer, lr=1.0, warmup_steps=488),
    ),
    "cifar_resnet18": dataclasses.replace(  # the released code's command: batch 512, 1000 epochs, lr 512 / 256
        PAPER,
        data="tfds:cifar10",
        image_size=32,
        source_size=32,
        batch_size=512,
        steps=97_656,
        temperature=0.5,
        hidden=512,  # as wide as the features, which in a ResNet-18 are 512
        backbone=Backbone(width=1.0),
        view=CIFAR_VIEW,
        optimizer=dataclasses.replace(PAPER.optimizer, lr=2.0, warmup_steps=977),
    ),
    "smoke": Config(**SMOKE),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Learn features by telling the other view of an image from the views of other images."""
    setup = ContrastiveSetup(inputs.source(config.data), config, inputs)
    optimizer = config.optimizer.at(config.batch_size)
    task = simclr(
        partial(network, config, inputs.precision),
        optimizer.make(config.steps),
        augment=setup.augmentation(),
        mean=setup.source.mean,
        std=setup.source.std,
        temperature=config.temperature,
    )
    task = log_rate(task, optimizer, config.steps)
    return Experiment.single(
        task, setup.train(), config.steps, setup.hooks(), best="knn/accuracy", embedding=setup.embedding
    )


def network(config: Config, precision: str, axis_name: str | None) -> nn.Module:
    """Return backbone and head.

    Args:
        config: the experiment's settings.
        precision: what they compute in, as `--precision` has it.
        axis_name: axis of the devices over all of which batch statistics are taken.

    Returns:
        A model with "pool" and "embedding".
    """
    norm = partial(BatchNorm, axis_name=axis_name)
    head = ProjectionHead(config.embedding, (config.hidden,), norm)
    return in_precision(Projected(config.backbone.make(norm), head), precision)
