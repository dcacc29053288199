"""Images per second of a training step and of inference of segmentation networks, against torch, in one run.

    python benchmarks/segmentation.py [--models=fcn_resnet50,unet] [--batch_size=2] [--rounds=3]

FCN on ResNet-50 at 520 pixels against torchvision's, side classifier included; U-Net at 256 pixels against the same
layers in torch. SGD with momentum on both sides; torch runs eagerly on NCHW and on channels_last, and its best counts.
Each side has a process of its own, and they take turns: see `turns`.
"""

import pathlib
import sys
from functools import partial
from typing import Any

import turns
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from jaxvision.run import xla

SIZES = {"fcn_resnet50": 520, "unet": 256}
CLASSES = 21
GREY = (127.5, 127.5, 127.5)
_MODELS = flags.DEFINE_list("models", list(SIZES), "which to measure")
_BATCH = flags.DEFINE_integer("batch_size", 2, "images a step", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "alternating rounds; the median counts", lower_bound=1)


def main(argv: list[str]) -> None:
    del argv
    turns.require("segmentation.py", "torch", "torchvision")
    for name in _MODELS.value:
        sides: dict[str, turns.Side] = {"jaxvision": partial(_ours, name, _BATCH.value)}
        sides |= {
            layout: partial(_theirs, name, _BATCH.value, layout) for layout in ("contiguous_format", "channels_last")
        }
        found = turns.compare(sides, _ROUNDS.value, name)
        ours = found.pop("jaxvision")
        for what in ("training", "inference"):
            best = min(found, key=lambda layout: found[layout].seconds[what])  # noqa: B023
            mine, other = ours.seconds[what], found[best].seconds[what]
            print(
                f"{name:13} {what:9}  jaxvision {_BATCH.value / mine:6.2f}  torch {_BATCH.value / other:6.2f} images/s",
                end="",
            )
            print(
                f"  ratio {other / mine:.2f}  peak {ours.peak_mib:.0f} and {found[best].peak_mib:.0f} MiB ({best})",
                flush=True,
            )


def _ours(name: str, batch_size: int) -> turns.Calls:
    """The step and the prediction that `launch.py` runs."""
    xla.configure()
    import numpy as np

    from jaxvision.models.fcn_resnet import FCNResNet50
    from jaxvision.models.unet import UNet
    from jaxvision.tasks.segmentation import segmentation
    from jaxvision.train.optim import Optimizer

    model: Any = FCNResNet50(CLASSES) if name == "fcn_resnet50" else UNet(CLASSES)
    task = segmentation(model, Optimizer(lr=1e-4).make(1), mean=GREY, std=GREY)
    rng, shape = np.random.default_rng(0), (batch_size, SIZES[name], SIZES[name])
    batch = {
        "image": rng.integers(0, 256, (*shape, 3), np.uint8),
        "label_map": rng.integers(0, CLASSES, shape, np.uint8),
    }
    ours = turns.running(task, batch)
    return {"training": ours.train, "inference": ours.predict}


def _theirs(name: str, batch_size: int, layout: str) -> turns.Calls:
    import torch
    from torch.nn.functional import cross_entropy

    memory_format = getattr(torch, layout)
    model = _torch_model(name).to(memory_format=memory_format)
    sgd = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    size = SIZES[name]
    images = torch.randn(batch_size, 3, size, size).to(memory_format=memory_format)
    labels = torch.randint(0, CLASSES, (batch_size, size, size))

    def train() -> None:
        model.train()
        sgd.zero_grad()
        outputs = model(images)
        (cross_entropy(outputs["out"], labels) + 0.5 * cross_entropy(outputs["aux"], labels)
         if name == "fcn_resnet50" else cross_entropy(outputs, labels)).backward()  # fmt: skip
        sgd.step()

    def infer() -> None:
        model.eval()
        with torch.inference_mode():
            outputs = model(images)
            (outputs["out"] if name == "fcn_resnet50" else outputs).softmax(1).max(1)

    return {"training": train, "inference": infer}


def _torch_model(name: str) -> Any:
    import torchvision

    if name == "fcn_resnet50":
        return torchvision.models.segmentation.fcn_resnet50(
            weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True
        )
    return _torch_unet()


def _torch_unet() -> Any:
    """Ronneberger et al. 2015 with padding, as `models.unet` has it."""
    import torch
    from torch import nn

    def double(into: int, out: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(into, out, 3, padding=1), nn.ReLU(True), nn.Conv2d(out, out, 3, padding=1), nn.ReLU(True)
        )

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = [64 * 2**i for i in range(5)]
            self.down = nn.ModuleList([double(a, b) for a, b in zip([3, *widths], widths, strict=False)])
            self.up = nn.ModuleList([nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[:-1]])
            self.merge = nn.ModuleList([double(2 * w, w) for w in widths[:-1]])
            self.score, self.drop = nn.Conv2d(64, CLASSES, 1), nn.Dropout(0.5)

        def forward(self, x: Any) -> Any:
            skips = []
            for level, layer in enumerate(self.down):
                x = layer(x if level == 0 else nn.functional.max_pool2d(x, 2))
                x = self.drop(x) if level >= 3 else x
                skips.append(x)
            for level in reversed(range(4)):
                x = self.merge[level](torch.cat([skips[level], self.up[level](x)], 1))
            return self.score(x)

    return UNet()


if __name__ == "__main__":
    xla.reexec_with_huge_pages()
    app.run(main)
