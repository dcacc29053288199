"""Images per second of training steps of SimCLR and MoCo v2, augmentation included, against torch, in one run.

    python benchmarks/contrastive.py [--methods=simclr,moco] [--batch_size=64] [--rounds=3]

ResNet-18 at 32 pixels with the CIFAR stem and two views an image: crop, flip, colour jitter, grey. Ours draws them on
the device, inside the compiled step; torch's twin draws them with torchvision's transforms, image by image, from uint8
tensors and from Pillow images. It runs eagerly on NCHW and on channels_last, with SGD with momentum on both sides, and
its best counts. Each side has a process of its own, and they take turns: see `turns`.
"""

import copy
import pathlib
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import turns
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from jaxvision.run import xla

METHODS = ("simclr", "moco")
SIZE, QUEUE, DIM, HIDDEN, GROUPS = 32, 4096, 128, 512, 4
GREY = (127.5, 127.5, 127.5)
JITTER = (0.4, 0.4, 0.4, 0.1)
TEMPERATURE = {"simclr": 0.5, "moco": 0.2}
_METHODS = flags.DEFINE_list("methods", list(METHODS), "which to measure")
_BATCH = flags.DEFINE_integer("batch_size", 64, "images a step, each seen twice", lower_bound=GROUPS)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "alternating rounds; the median counts", lower_bound=1)


def main(argv: list[str]) -> None:
    del argv
    turns.require("contrastive.py", "torch", "torchvision")
    for method in _METHODS.value:
        sides: dict[str, turns.Side] = {"jaxvision": partial(_ours, method, _BATCH.value)}
        for layout in ("contiguous_format", "channels_last"):
            for kind in ("tensor", "pillow"):
                sides[f"{layout}, {kind}"] = partial(_theirs, method, _BATCH.value, layout, kind)
        found = turns.compare(sides, _ROUNDS.value, method)
        ours = found.pop("jaxvision")
        best = min(found, key=lambda side: found[side].seconds["step"])  # noqa: B023
        for what in ("step", "views alone"):
            mine, other = ours.seconds[what], found[best].seconds[what]
            print(f"{method:7} {what:11}  jaxvision {_BATCH.value / mine:7.1f}  torch {_BATCH.value / other:7.1f} "
                  f"images/s  ratio {other / mine:.2f}", flush=True)  # fmt: skip
        print(f"{method:7} peak         {ours.peak_mib:.0f} and {found[best].peak_mib:.0f} MiB ({best})", flush=True)


def _ours(method: str, batch_size: int) -> turns.Calls:
    """The step that `launch.py` runs."""
    xla.configure()
    import jax
    import numpy as np

    from jaxvision.models.layers import BatchNorm
    from jaxvision.models.norms import SplitBatchNorm
    from jaxvision.models.resnet import ResNet18
    from jaxvision.models.ssl_heads import Projected, ProjectionHead
    from jaxvision.recipes.two_views import ContrastiveView
    from jaxvision.tasks.moco import moco
    from jaxvision.tasks.simclr import simclr
    from jaxvision.tasks.views import two_views
    from jaxvision.train.optim import Optimizer

    view = ContrastiveView(flip=0.5, jitter=JITTER).make(SIZE)
    settings: Any = {"augment": view, "mean": GREY, "std": GREY, "temperature": TEMPERATURE[method]}

    def network(groups: Any) -> Any:
        norm = partial(SplitBatchNorm, groups=groups) if method == "moco" else BatchNorm
        return Projected(ResNet18(None, stem="cifar", norm=norm), ProjectionHead(DIM, (HIDDEN,)))

    sgd = Optimizer(lr=1e-3).make(1)
    task = (
        simclr(network, sgd, **settings)
        if method == "simclr"
        else moco(network, sgd, **settings, queue=QUEUE, momentum=0.999, groups=GROUPS)
    )
    batch = {"image": np.random.default_rng(0).integers(0, 256, (batch_size, SIZE, SIZE, 3), np.uint8)}
    ours = turns.running(task, batch)
    draw = jax.jit(lambda state, images: two_views(state, images, view, GREY, GREY, None))
    return {"step": ours.train, "views alone": lambda: jax.block_until_ready(draw(ours.state(), batch["image"]))}


def _theirs(method: str, batch_size: int, layout: str, kind: str) -> turns.Calls:
    import torch

    memory_format = getattr(torch, layout)
    draw = _torch_views(batch_size, kind)
    model = _torch_network().to(memory_format=memory_format)
    sgd = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    loss_of = _torch_simclr(model) if method == "simclr" else _torch_moco(model, batch_size)

    def train() -> None:
        first, second = (views.to(memory_format=memory_format) for views in draw())
        sgd.zero_grad()
        loss_of(first, second).backward()
        sgd.step()

    return {"step": train, "views alone": draw}


def _torch_views(batch_size: int, kind: str) -> Callable[[], tuple[Any, Any]]:
    """Two views of every image, each image by itself, as a data loader draws them."""
    import torch
    from torchvision.transforms import v2

    images: list[Any] = list(torch.randint(0, 256, (batch_size, 3, SIZE, SIZE), dtype=torch.uint8))
    if kind == "pillow":
        images = [v2.functional.to_pil_image(image) for image in images]
    view = v2.Compose(
        [
            v2.RandomResizedCrop(SIZE, (0.2, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(*JITTER)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )

    def draw() -> tuple[Any, Any]:
        return torch.stack([view(image) for image in images]), torch.stack([view(image) for image in images])

    return draw


def _torch_network() -> Any:
    import torchvision
    from torch import nn

    model = torchvision.models.resnet18(weights=None)
    model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    model.fc = nn.Sequential(nn.Linear(512, HIDDEN), nn.ReLU(True), nn.Linear(HIDDEN, DIM))
    return model.train()


def _torch_simclr(model: Any) -> Callable[[Any, Any], Any]:
    import torch
    from torch.nn.functional import cross_entropy, normalize

    def loss(first: Any, second: Any) -> Any:
        rows = len(first)
        z = normalize(model(torch.cat([first, second])))
        logits = (z @ z.T / TEMPERATURE["simclr"]).fill_diagonal_(-torch.inf)
        return cross_entropy(logits, (torch.arange(2 * rows) + rows) % (2 * rows))

    return loss


def _torch_moco(model: Any, batch_size: int) -> Callable[[Any, Any], Any]:
    import torch
    from torch.nn.functional import cross_entropy, normalize

    keys_of, head = copy.deepcopy(model), [0]
    queue = normalize(torch.randn(QUEUE, DIM))

    def loss(first: Any, second: Any) -> Any:
        queries = normalize(model(first))
        with torch.no_grad():
            for ours, theirs in zip(keys_of.parameters(), model.parameters(), strict=True):
                ours.mul_(0.999).add_(theirs, alpha=0.001)
            order = torch.randperm(batch_size)
            keys = normalize(keys_of(second[order]))[order.argsort()]
        positive = (queries * keys).sum(1, keepdim=True)
        logits = torch.cat([positive, queries @ queue.T.clone()], 1) / TEMPERATURE["moco"]
        queue[(head[0] + torch.arange(batch_size)) % QUEUE] = keys
        head[0] = (head[0] + batch_size) % QUEUE
        return cross_entropy(logits, torch.zeros(batch_size, dtype=torch.long))

    return loss


if __name__ == "__main__":
    xla.reexec_with_huge_pages()
    app.run(main)
