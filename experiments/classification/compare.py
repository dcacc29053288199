"""Each idea of the classifiers' story, measured: networks that differ in one thing, at one budget, with a table.

python launch.py --experiment=classification/compare                                  # AlexNet, VGG, GoogLeNet, ResNet
python launch.py --experiment=classification/compare --group=depth --seeds=3          # plain and residual networks
python launch.py --experiment=classification/compare --group=depth --only=plain-56    # one of them, on this machine
python launch.py --experiment=classification/compare --preset=paper                   # depth on CIFAR-10
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, NamedTuple

import flax.linen as nn

from jaxvision.data import crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.records import Source, evenly
from jaxvision.evals.classification import accuracy
from jaxvision.models.alexnet import AlexNet
from jaxvision.models.googlenet import GoogLeNet
from jaxvision.models.precision import in_precision
from jaxvision.models.resnet import CifarResNet, ResNet
from jaxvision.models.vgg import VGG
from jaxvision.recipes.classification import CIFAR, SMOKE, ClassifierConfig, ClassifierSetup
from jaxvision.recipes.comparison import compare
from jaxvision.recipes.comparison_table import Comparison, Measure
from jaxvision.recipes.gradient_norms import gradient_norms, keeping, told_gradients
from jaxvision.tasks.classification import classification
from jaxvision.train.hooks import evaluate
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Data, Experiment, Hook, Metric

Network = Callable[..., nn.Module]
"""Makes a network from `num_classes` and `width`."""


class Group(NamedTuple):
    """Networks that are compared with each other. Adding one is a line."""

    networks: Mapping[str, Network]
    pairs: tuple[tuple[str, str], ...]  # whose difference is told
    image_size: int = 32  # pixels that suit all of them
    gradients: bool = False  # whether the gradient at each layer is measured


_ALEXNET = partial(AlexNet, variant="single", kernel_init=nn.initializers.he_normal())
_GOOGLENET = partial(GoogLeNet, variant="torchvision")
_PLAIN = {f"plain-{depth}": partial(CifarResNet, depth=depth, shortcut="none") for depth in (8, 20, 32, 56)}
_RESIDUAL = {f"residual-{depth}": partial(CifarResNet, depth=depth, shortcut="A") for depth in (8, 20, 32, 56)}

GROUPS: Mapping[str, Group] = {
    "networks": Group(
        {
            "alexnet": _ALEXNET,
            "vgg-11": partial(VGG, net="A", batch_norm=True, window=2),
            "vgg-16": partial(VGG, net="D", batch_norm=True, window=2),
            "googlenet": _GOOGLENET,
            "resnet-18": partial(ResNet, depth=18, stem="imagenet"),
        },
        (("resnet-18", "alexnet"), ("vgg-16", "vgg-11")),
        image_size=67,  # the least that AlexNet takes
    ),
    "depth": Group(
        _PLAIN | _RESIDUAL,
        (("plain-56", "plain-20"), ("residual-56", "residual-20"), ("residual-56", "plain-56")),
        gradients=True,
    ),
    "shortcuts": Group(
        {option: partial(CifarResNet, depth=20, shortcut=option) for option in ("none", "A", "B", "C")},
        (("B", "A"), ("C", "B"), ("A", "none")),
    ),
    "filters": Group(
        {
            "three-3x3": partial(VGG, net="3x3", batch_norm=True, window=1),
            "one-7x7": partial(VGG, net="7x7", batch_norm=True, window=1),
        },
        (("three-3x3", "one-7x7"),),
    ),
    "bottleneck": Group(
        {"reduced": _GOOGLENET, "not-reduced": partial(_GOOGLENET, reduces=False)},
        (("reduced", "not-reduced"),),
        image_size=64,
    ),
    "head": Group(
        {"average": _GOOGLENET, "fully-connected": partial(_GOOGLENET, fully_connected=True)},
        (("average", "fully-connected"),),
        image_size=64,
    ),
    "side": Group(
        {"with-side": partial(GoogLeNet, variant="paper"), "without-side": partial(GoogLeNet, auxiliary=False)},
        (("with-side", "without-side"),),
        image_size=64,
        gradients=True,
    ),
    "alexnet": Group(
        {
            "alexnet": _ALEXNET,
            "without-lrn": partial(_ALEXNET, response_norm=False),
            "without-dropout": partial(_ALEXNET, dropout=0.0),
            "without-overlap": partial(_ALEXNET, overlapping=False),
        },
        (("alexnet", "without-lrn"), ("alexnet", "without-dropout"), ("alexnet", "without-overlap")),
        image_size=67,
    ),
    "batch_norm": Group(
        {
            "normalised": partial(VGG, net="A", batch_norm=True, window=1),
            "not-normalised": partial(VGG, net="A", window=1, kernel_init=nn.initializers.he_normal()),
        },
        (("normalised", "not-normalised"),),
        gradients=True,
    ),
}


@dataclasses.dataclass(frozen=True)
class Config(ClassifierConfig):
    """Fields are flags; `quick` is the default preset."""

    group: Literal[
        "networks", "depth", "shortcuts", "filters", "bottleneck", "head", "side", "alexnet", "batch_norm"
    ] = "networks"  # what is compared
    seeds: int = 1  # runs of each network, each with other weights and batches
    image_size: int = 0  # height and width in pixels; 0: what suits the group's networks
    fitted: int = 2048  # training images, without augmentation, of which the training error is measured
    optimizer: Optimizer = Optimizer(rule="adam", lr=1e-3, schedule="cosine", warmup_steps=20)


PRESETS = {
    "quick": Config(),
    "paper": Config(**CIFAR, group="depth"),
    "smoke": Config(**SMOKE, group="filters"),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train the networks of a group, each with every seed, and compare them."""
    group = GROUPS[config.group]
    config = dataclasses.replace(config, image_size=config.image_size or group.image_size)
    source = inputs.source(config.data, "labels", config.pixels)
    builds = {name: partial(_classifier, network, group, config, source) for name, network in group.networks.items()}
    return compare(builds, inputs, config.seeds, _comparison(config, group))


def _classifier(network: Network, group: Group, config: Config, source: Source, inputs: Inputs) -> Experiment:
    """Return the experiment of one network, whose errors and, in some groups, gradients are measured."""
    setup = ClassifierSetup(source, config, inputs)
    model = network(num_classes=source.num_classes, width=config.width)
    train = setup.train()
    hooks: list[Hook] = [
        evaluate((errors(),), setup.val(), every=config.eval_every),
        evaluate((errors(),), _fitted(config, source, inputs), every=config.eval_every, name="fit"),
    ]
    if group.gradients:
        model_here = in_precision(model, inputs.precision)
        measured = classification(model_here, keeping(), mean=source.mean, std=source.std)
        hooks += gradient_norms(measured, train, config.eval_every)
    return Experiment.single(setup.task(model), train, config.steps, tuple(hooks))


def _fitted(config: Config, source: Source, inputs: Inputs) -> Data:
    """Return training images as they are given in evaluation."""
    records, size = source[config.train_split], config.image_size
    return inputs.evaluate(
        evenly(records, min(config.fitted, len(records))), crops.center_crop(size, size), config.batch_size
    )


def errors() -> Metric:
    """Measure {"error"}, the share of images that are given a wrong class."""
    right = accuracy(top=(1,))
    return Metric(right.init, right.update, lambda state: {"error": 1.0 - right.result(state)["accuracy"]})


def _comparison(config: Config, group: Group) -> Comparison:
    note = (
        f"{config.data} at {config.image_size} pixels; each network of width {config.width:g}, {config.steps} steps of "
        f"{config.batch_size} images, {config.optimizer.rule} at {config.optimizer.lr:g}; the training error is of at "
        f"most {config.fitted} images without augmentation; seeds: {config.seeds}."
    )
    return Comparison(
        config.group.replace("_", " ").capitalize(),
        "network",
        (
            Measure("fit/error", "training error", "error", more=False),
            Measure("val/error", "test error", "error", more=False),
        ),
        pairs=group.pairs,
        curves=("fit/error", "val/error"),
        notes=(note,),
        more=functools.partial(told_gradients, group.pairs) if group.gradients else None,
    )
