"""Images per second of a training step and of inference, against torchvision, in one run on one machine.

    python benchmarks/classification.py [--models=resnet18,resnet50] [--batch_size=16] [--dtype=float32]

Both sides: the same architecture, batch, input size, SGD with momentum and weight decay; ours is the step that
`launch.py` runs. torch runs eagerly on NCHW and on channels_last, and with --torch_compile through inductor as well;
its best counts. Each side has a process of its own (in one, their thread pools hinder each other), and they take turns:
one waits while the other works, two calls in a row after one that is not timed. Medians count, warm-up is left out.
"""

import math
import multiprocessing
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from jaxvision import xla  # noqa: E402

MODELS = ("alexnet", "vgg11", "googlenet", "resnet18", "resnet50")
_MODELS = flags.DEFINE_list("models", list(MODELS), "which to measure")
_BATCH = flags.DEFINE_integer("batch_size", 16, "images a step", lower_bound=1)
_SIZE = flags.DEFINE_integer("image_size", 224, "pixels", lower_bound=64)
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "of the computation; parameters are float32")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "alternating rounds; the median counts", lower_bound=1)
_COMPILE = flags.DEFINE_bool("torch_compile", False, "also measure torch.compile, which needs a C++ compiler")

GREY = (127.5, 127.5, 127.5)
_IN_A_ROW = 2  # calls timed a turn

Calls = dict[str, dict[str, Callable[[], None]]]
"""By what is done and by how: {"training": {"channels_last": …}}."""
Rates = dict[str, dict[str, float]]


class Settings(NamedTuple):
    """The flags, for the processes of the two sides."""

    batch_size: int
    image_size: int
    dtype: str
    rounds: int
    torch_compile: bool


def main(argv: list[str]) -> None:
    del argv
    try:
        import torch  # noqa: F401
        import torchvision  # noqa: F401
    except ImportError:
        sys.exit("benchmarks/classification.py compares with torch: pip install torch torchvision")
    settings = Settings(_BATCH.value, _SIZE.value, _DTYPE.value, _ROUNDS.value, _COMPILE.value)
    ratios: dict[str, list[float]] = {"training": [], "inference": []}
    for name in _MODELS.value:
        ours, theirs = _compare(name, settings)
        for what, values in ratios.items():
            mine, peers = ours[what]["jaxvision"], theirs[what]
            best = max(peers, key=lambda k: peers[k])
            values.append(mine / peers[best])
            print(f"{name:10} {what:9}  jaxvision {mine:7.1f}  torch {peers[best]:7.1f} images/s ({best})", end="")
            print(f"  ratio {values[-1]:.2f}", flush=True)
    for what, values in ratios.items():
        print(f"{what}: geometric mean of the ratios {math.exp(statistics.mean(map(math.log, values))):.2f}")


def _compare(name: str, settings: Settings) -> tuple[Rates, Rates]:
    """Images per second of ours and of torch's, from the median time of a call; the two processes take turns."""
    sides = []
    for side in (_ours, _theirs):
        here, there = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(side, name, settings, there))
        process.start()
        sides.append((process, here))
    rounds = []
    for _ in range(settings.rounds + 1):
        rounds.append([])
        for _, pipe in sides:
            pipe.send("go")
            rounds[-1].append(pipe.recv())
    for process, pipe in sides:
        pipe.send("stop")
        process.join()
    ours, theirs = zip(*rounds[1:], strict=True)
    return _rates(ours, settings.batch_size), _rates(theirs, settings.batch_size)


def _serve(side: Callable[..., Calls], name: str, settings: Settings, pipe: Any) -> None:
    """One side's process: for each "go" the seconds of a call of each kind."""
    calls = side(name, settings)
    while pipe.recv() == "go":
        pipe.send({what: {label: _seconds(call) for label, call in kinds.items()} for what, kinds in calls.items()})


def _seconds(call: Callable[[], None]) -> float:
    """Of one call in a row of them, as steps come in training: the first after a pause faults its memory in anew."""
    times = []
    for _ in range(1 + _IN_A_ROW):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _rates(rounds: Sequence[Rates], images: int) -> Rates:
    first = rounds[0]
    return {w: {k: images / statistics.median(r[w][k] for r in rounds) for k in first[w]} for w in first}


def _ours(name: str, settings: Settings) -> Calls:
    xla.configure()
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxvision.tasks.classification import classification
    from jaxvision.train import devices
    from jaxvision.train.optim import Optimizer

    model = _model(name)(num_classes=1000, dtype=getattr(jnp, settings.dtype))
    tx = Optimizer(lr=0.01, weight_decay=1e-4, decay_norms=True).make(1000)
    task = classification(model, tx, mean=GREY, std=GREY)
    rng, shape = np.random.default_rng(0), (settings.batch_size, settings.image_size, settings.image_size, 3)
    batch = {"image": rng.integers(0, 256, shape, np.uint8), "label": rng.integers(0, 1000, settings.batch_size)}
    where = devices.choose("jit", jax.devices()[:1])
    step, predict = devices.compile_step(task, where), devices.compile_predict(task, where)
    box = [devices.place(devices.initial(task, jax.random.PRNGKey(0), batch), where)]

    def train() -> None:
        box[0], metrics = step(box[0], batch)
        jax.block_until_ready(metrics)

    return {"training": {"jaxvision": train}, "inference": {"jaxvision": lambda: predict(box[0], batch)}}


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


def _theirs(name: str, settings: Settings) -> Calls:
    import torch

    layouts = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
    sides = {label: _torch(name, settings, layout, compiled=False) for label, layout in layouts.items()}
    if settings.torch_compile:
        sides["channels_last, compiled"] = _torch(name, settings, torch.channels_last, compiled=True)
    return {what: {label: calls[what] for label, calls in sides.items()} for what in ("training", "inference")}


def _torch(name: str, settings: Settings, layout: Any, *, compiled: bool) -> dict[str, Callable[[], None]]:
    import torch
    import torchvision

    device = "cuda" if torch.cuda.is_available() else "cpu"
    extra = {"aux_logits": True, "transform_input": False} if name == "googlenet" else {}
    model = getattr(torchvision.models, name)(init_weights=False, **extra) if extra else _plain(name)
    model = model.to(device=device, memory_format=layout)
    run = torch.compile(model) if compiled else model
    sgd = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    images = torch.randn(settings.batch_size, 3, settings.image_size, settings.image_size, device=device).to(
        memory_format=layout
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
