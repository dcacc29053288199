"""Five steps of AlexNet, VGG, GoogLeNet and ResNet lead where torch's lead: losses, weights, running statistics."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import numpy as np
import pytest

from jaxvision.channels import IMAGENET_MEAN, IMAGENET_STD
from jaxvision.models.alexnet import AlexNet
from jaxvision.models.googlenet import INCEPTION, GoogLeNet
from jaxvision.models.resnet import CifarResNet, ResNet
from jaxvision.models.vgg import VGG
from jaxvision.tasks.classification import classification
from jaxvision.train.optim import Optimizer
from tests.equivalence.layers import F, Layers, Tensor, descend, flatten, nchw, sgd, torch
from tests.equivalence.modules import Module, narrow
from tests.equivalence.steps import STEPS, Run, assert_losses, assert_variables, damped, drawn, five_steps, photos

pytestmark = pytest.mark.peer
CLASSES, DECAY = 5, 5e-4


def batches_of(rows: int, size: int) -> list[dict[str, np.ndarray]]:
    labels = np.random.default_rng(1).integers(0, CLASSES, (STEPS, rows)).astype(np.int32)
    return [{"image": photos(rows, size, size, seed=i), "label": labels[i]} for i in range(STEPS)]


def trained(
    model: nn.Module,
    optimizer: Optimizer,
    batches: list[dict[str, np.ndarray]],
    factors: Mapping[str, float] = MappingProxyType({}),
    **fields: Any,
) -> Run:
    task = classification(model, optimizer.make(STEPS), mean=IMAGENET_MEAN, std=IMAGENET_STD, **fields)
    return five_steps(task, damped(drawn(task, batches[0]), factors), batches)


def seen(batch: dict[str, np.ndarray]) -> tuple[Tensor, Tensor]:
    return nchw(batch["image"], IMAGENET_MEAN, IMAGENET_STD), torch.from_numpy(batch["label"]).long()


TORCHVISIONS = {
    "alexnet": (partial(AlexNet, variant="torchvision"), 1 / 16, 224, {}, ("classifier.6",)),
    "vgg11": (partial(VGG, net="A"), 1 / 16, 224, {}, ("classifier.6",)),
    "googlenet": (
        partial(GoogLeNet, variant="torchvision"),
        1 / 8,
        64,
        {"aux_logits": True, "init_weights": False, "transform_input": False},
        ("fc", "aux1.fc2", "aux2.fc2"),
    ),
    "resnet18": (partial(ResNet, depth=18), 1 / 8, 64, {}, ("fc",)),
    "resnet50": (partial(ResNet, depth=50), 1 / 16, 64, {}, ("fc",)),
}


# Batch norm of few values magnifies rounding, by more in each step the larger the steps.
RATES = {"alexnet": 0.02, "vgg11": 0.02, "googlenet": 0.005, "resnet18": 0.002, "resnet50": 0.002}
SMALL_NORMS = {
    "googlenet": {"bn/scale": 0.02},  # no shortcuts: what passes 20 norms is kept near the norms' epsilon
    "resnet18": {"bn2/scale": 0.2},
    "resnet50": {"bn3/scale": 0.2},
}


@pytest.mark.parametrize("name", list(TORCHVISIONS))
def test_torchvisions_networks(name: str):
    """With torchvision's recipe: weight decay of everything, of ResNet-50 Nesterov momentum and smooth labels too."""
    models = pytest.importorskip("torchvision").models
    make, width, size, settings, outputs = TORCHVISIONS[name]
    refined, lr = name == "resnet50", RATES[name]
    smoothing = 0.1 if refined else 0.0
    optimizer = Optimizer(lr=lr, weight_decay=DECAY, decay_norms=True, nesterov=refined)
    batches = batches_of(8 if size == 64 else 4, size)
    factors = SMALL_NORMS.get(name, {})
    run = trained(make(CLASSES, width=width), optimizer, batches, factors, label_smoothing=smoothing)
    model = narrow(getattr(models, name)(num_classes=CLASSES, **settings), width, outputs)
    theirs = Module(model, run.states[0])
    steps = sgd(dict(model.named_parameters()), lr, decay=DECAY, nesterov=refined)

    def loss(batch: dict[str, np.ndarray]) -> Tensor:
        images, labels = seen(batch)
        answer = model(images)
        heads = (answer.logits, answer.aux_logits1, answer.aux_logits2) if name == "googlenet" else (answer,)
        first, *side = (F.cross_entropy(head, labels, label_smoothing=smoothing) for head in heads)
        return first + 0.3 * sum(side)

    assert_losses(run.losses(), [descend(steps, loss(batch)) for batch in batches])
    assert_variables(run, theirs.arrays())


def compare_written(run: Run, forward: Any, batches: list[dict[str, np.ndarray]], optimizer: dict[str, Any]) -> None:
    """Compare with a network written in torch: `forward` gives the logits of all heads, the main ones first."""
    net = Layers.of(run.states[0])
    steps, losses = sgd(net.parameters(), **optimizer), []
    for batch in batches:
        images, labels = seen(batch)
        first, *side = (F.cross_entropy(logits, labels) for logits in forward(net, images))
        losses.append(descend(steps, first + 0.3 * sum(side)))
    assert_losses(run.losses(), losses)
    assert_variables(run, net.arrays())


def response_norm(x: Tensor) -> Tensor:
    """Krizhevsky et al. 2012, section 3.3, whose α multiplies the sum over 5 maps, not their mean."""
    squares = F.pad(x**2, (0, 0, 0, 0, 2, 2))
    total = sum(squares[:, i : i + x.shape[1]] for i in range(5))
    return x / (2 + 1e-4 * total) ** 0.75


def alexnet(net: Layers, x: Tensor) -> list[Tensor]:
    """Section 3.5: two towers, response normalisation before the overlapping pools, 11×11 kernels of stride 4."""
    for i, (stride, padding, towers) in enumerate(((4, 0, 1), (1, 2, 2), (1, 1, 1), (1, 1, 2), (1, 1, 2)), start=1):
        x = F.relu(net.conv(x, f"conv{i}", stride, padding, groups=towers))
        x = F.max_pool2d(response_norm(x), 3, 2) if i < 3 else x
    x = flatten(F.max_pool2d(x, 3, 2))
    for name in ("fc6", "fc7"):
        x = F.relu(net.dense(x, name))
    return [net.dense(x, "fc8")]


def test_the_papers_alexnet_with_biases_that_learn_twice_as_fast_and_do_not_decay():
    optimizer = Optimizer(
        lr=0.01, weight_decay=DECAY, decay_norms=True, lr_scale=("bias$=2",), decay_scale=("bias$=0",)
    )
    batches = batches_of(4, 99)
    run = trained(AlexNet(CLASSES, "paper", 1 / 16), optimizer, batches)
    rates = {
        "lr": 0.01,
        "decay": DECAY,
        "lr_of": lambda path: 2.0 if path.endswith("bias") else 1.0,
        "decays": lambda path, leaf: path.endswith("kernel"),
    }
    compare_written(run, alexnet, batches, rates)


def googlenet(net: Layers, x: Tensor) -> list[Tensor]:
    """Szegedy et al. 2015, table 1 and figure 3, with the two side classifiers of section 5."""

    def unit(part: Layers, x: Tensor, name: str, kernel: int, stride: int = 1) -> Tensor:
        return F.relu(part.conv(x, f"{name}/conv", stride, kernel // 2))

    def pool(x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    def inception(part: Layers, x: Tensor) -> Tensor:
        threes = unit(part, unit(part, x, "reduce3x3", 1), "conv3x3", 3)
        fives = unit(part, unit(part, x, "reduce5x5", 1), "conv5x5", 5)
        projected = unit(part, F.max_pool2d(x, 3, 1, 1), "pool_proj", 1)
        return torch.cat([unit(part, x, "conv1x1", 1), threes, fives, projected], 1)

    def side(part: Layers, x: Tensor) -> Tensor:
        x = unit(part, F.avg_pool2d(x, 5, 3), "conv", 1)
        return part.dense(F.relu(part.dense(flatten(x), "fc1")), "fc2")

    x = response_norm(pool(unit(net, x, "conv1", 7, 2)))
    x = pool(response_norm(unit(net, unit(net, x, "conv2_reduce", 1), "conv2", 3)))
    heads = []
    for name in INCEPTION:
        x = pool(x) if name.startswith("pool") else inception(net.part(name), x)
        if name in ("inception_4a", "inception_4d"):
            heads.append(side(net.part(f"aux_{name[-2:]}"), x))
    return [net.dense(x.mean((2, 3)), "fc"), *heads]


def test_the_papers_googlenet_with_side_classifiers():
    optimizer, batches = Optimizer(lr=0.01, weight_decay=2e-4, decay_norms=True), batches_of(4, 96)
    run = trained(GoogLeNet(CLASSES, width=1 / 8), optimizer, batches)
    compare_written(run, googlenet, batches, {"lr": 0.01, "decay": 2e-4})


def cifar_resnet(net: Layers, x: Tensor) -> list[Tensor]:
    """He et al. 2016, section 4.2: three stages, shortcuts of option A, which subsample and add channels of zeros."""
    x = F.relu(net.norm(net.conv(x, "conv1", padding=1), "bn1"))
    for stage in (1, 2, 3):
        for i in range(3):
            block, stride = net.part(f"layer{stage}_{i}"), 2 if stage > 1 and i == 0 else 1
            y = F.relu(block.norm(block.conv(x, "conv1", stride, 1), "bn1"))
            y = block.norm(block.conv(y, "conv2", 1, 1), "bn2")
            x = F.relu(y + F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, y.shape[1] - x.shape[1])))
    return [net.dense(x.mean((2, 3)), "fc")]


def test_resnet20_of_section_4_2():
    optimizer, batches = Optimizer(lr=0.1, weight_decay=1e-4, decay_norms=True), batches_of(8, 32)
    run = trained(CifarResNet(CLASSES, width=1 / 4), optimizer, batches)
    compare_written(run, cifar_resnet, batches, {"lr": 0.1, "decay": 1e-4})
