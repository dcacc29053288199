"""Images per second of a training step and of inference, against torchvision, in one run on one machine.

    python benchmarks/classification.py [--models=resnet18,resnet50] [--batch_size=16] [--dtype=float32]

Both sides: the same architecture, batch, input size, SGD with momentum and weight decay; ours is the step that
`launch.py` runs. torch runs eagerly on NCHW and on channels_last, and with --torch_compile through inductor as well;
its best counts. Each of these has a process of its own, and they take turns: see `turns`.
"""

import math
import pathlib
import statistics
import sys
from functools import partial
from typing import Any, NamedTuple

import turns
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from jaxvision.run import xla

MODELS = ("alexnet", "vgg11", "googlenet", "resnet18", "resnet50")
_MODELS = flags.DEFINE_list("models", list(MODELS), "which to measure")
_BATCH = flags.DEFINE_integer("batch_size", 16, "images a step", lower_bound=1)
_SIZE = flags.DEFINE_integer("image_size", 224, "pixels", lower_bound=64)
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "of the computation; parameters are float32")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "alternating rounds; the median counts", lower_bound=1)
_COMPILE = flags.DEFINE_bool("torch_compile", False, "also measure torch.compile, which needs a C++ compiler")

GREY = (127.5, 127.5, 127.5)


class Settings(NamedTuple):
    """The flags, for the processes of the two sides."""

    batch_size: int
    image_size: int
    dtype: str
    torch_compile: bool


def main(argv: list[str]) -> None:
    del argv
    turns.require("classification.py", "torch", "torchvision")
    settings = Settings(_BATCH.value, _SIZE.value, _DTYPE.value, _COMPILE.value)
    ratios: dict[str, list[float]] = {"training": [], "inference": []}
    for name in _MODELS.value:
        found = turns.compare(_sides(name, settings), _ROUNDS.value, name)
        for what, values in ratios.items():
            peers = {label: settings.batch_size / side.seconds[what] for label, side in found.items()}
            mine = peers.pop("jaxvision")
            best = max(peers, key=lambda label: peers[label])
            values.append(mine / peers[best])
            print(f"{name:10} {what:9}  jaxvision {mine:7.1f}  torch {peers[best]:7.1f} images/s ({best})", end="")
            print(f"  ratio {values[-1]:.2f}", flush=True)
    for what, values in ratios.items():
        print(f"{what}: geometric mean of the ratios {math.exp(statistics.mean(map(math.log, values))):.2f}")


def _sides(name: str, settings: Settings) -> dict[str, turns.Side]:
    sides: dict[str, turns.Side] = {"jaxvision": partial(_ours, name, settings)}
    sides["NCHW"] = partial(_torch, name, settings, "contiguous_format", compiled=False)
    sides["channels_last"] = partial(_torch, name, settings, "channels_last", compiled=False)
    if settings.torch_compile:
        sides["channels_last, compiled"] = partial(_torch, name, settings, "channels_last", compiled=True)
    return sides


def _ours(name: str, settings: Settings) -> turns.Calls:
    xla.configure()
    import jax.numpy as jnp
    import numpy as np

    from jaxvision.tasks.classification import classification
    from jaxvision.train.optim import Optimizer

    model = _model(name)(num_classes=1000, dtype=getattr(jnp, settings.dtype))
    tx = Optimizer(lr=0.01, weight_decay=1e-4, decay_norms=True).make(1000)
    task = classification(model, tx, mean=GREY, std=GREY)
    rng, shape = np.random.default_rng(0), (settings.batch_size, settings.image_size, settings.image_size, 3)
    batch = {"image": rng.integers(0, 256, shape, np.uint8), "label": rng.integers(0, 1000, settings.batch_size)}
    ours = turns.running(task, batch)
    return {"training": ours.train, "inference": ours.predict}


def _model(name: str) -> Any:
    from jaxvision.models.alexnet import AlexNet
    from jaxvision.models.googlenet import GoogLeNet
    from jaxvision.models.resnet import ResNet
    from jaxvision.models.vgg import VGG

    return {
        "alexnet": partial(AlexNet, variant="torchvision"),
        "vgg11": partial(VGG, net="A"),
        "googlenet": partial(GoogLeNet, variant="torchvision"),
        "resnet18": partial(ResNet, depth=18),
        "resnet50": partial(ResNet, depth=50),
    }[name]


def _torch(name: str, settings: Settings, layout: str, *, compiled: bool) -> turns.Calls:
    import torch
    import torchvision

    device = "cuda" if torch.cuda.is_available() else "cpu"
    extra = {"aux_logits": True, "transform_input": False} if name == "googlenet" else {}
    model = getattr(torchvision.models, name)(init_weights=False, **extra) if extra else _plain(name)
    memory_format = getattr(torch, layout)
    model = model.to(device=device, memory_format=memory_format)
    run = torch.compile(model) if compiled else model
    sgd = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    images = torch.randn(settings.batch_size, 3, settings.image_size, settings.image_size, device=device).to(
        memory_format=memory_format
    )
    labels = torch.randint(0, 1000, (settings.batch_size,), device=device)
    cast = partial(torch.autocast, device, torch.bfloat16, enabled=settings.dtype == "bfloat16")
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None

    def train() -> None:
        model.train()
        sgd.zero_grad()
        with cast():
            outputs = run(images)
            heads = (outputs.logits, outputs.aux_logits1, outputs.aux_logits2) if extra else (outputs,)
            losses = [torch.nn.functional.cross_entropy(h, labels) for h in heads]
        (losses[0] + 0.3 * sum(losses[1:])).backward()
        sgd.step()
        wait()

    def infer() -> None:
        model.eval()
        with torch.inference_mode(), cast():
            run(images).float().softmax(-1).cpu()
        wait()

    return {"training": train, "inference": infer}


def _plain(name: str) -> Any:
    import torchvision

    return getattr(torchvision.models, name)(weights=None)


if __name__ == "__main__":
    xla.reexec_with_huge_pages()
    app.run(main)
