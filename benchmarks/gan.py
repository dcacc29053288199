"""Images per second of a training step of DCGAN-64, one update of each player, against torch, in one run.

    python benchmarks/gan.py [--batch_size=64] [--rounds=3]

The paper's widths, kernels of 4. Adam on both sides, real and fake images in batches of their own; ours also averages
the generator's weights, which the twin does not, and logs its metrics. torch runs eagerly on NCHW and on channels_last,
and its best counts. Each side has a process of its own, and they take turns: see `turns`.
"""

import pathlib
import sys
from functools import partial
from typing import Any

import turns
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from jaxvision.run import xla

SIZE, LATENT_DIM = 64, 100  # pixels, numbers
LR, BETA = 2e-4, 0.5
_BATCH = flags.DEFINE_integer("batch_size", 64, "images a step", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "alternating rounds; the median counts", lower_bound=1)


def main(argv: list[str]) -> None:
    del argv
    turns.require("gan.py", "torch")
    sides: dict[str, turns.Side] = {"jaxvision": partial(_ours, _BATCH.value)}
    sides |= {layout: partial(_theirs, _BATCH.value, layout) for layout in ("contiguous_format", "channels_last")}
    found = turns.compare(sides, _ROUNDS.value, "DCGAN-64")
    ours = found.pop("jaxvision")
    best = min(found, key=lambda layout: found[layout].seconds["training"])
    mine, other = ours.seconds["training"], found[best].seconds["training"]
    rates = f"jaxvision {_BATCH.value / mine:6.2f}  torch {_BATCH.value / other:6.2f} images/s"
    peaks = f"peak {ours.peak_mib:.0f} and {found[best].peak_mib:.0f} MiB ({best})"
    print(f"dcgan64 training  {rates}  ratio {other / mine:.2f}  {peaks}", flush=True)


def _ours(batch_size: int) -> turns.Calls:
    """The step that `launch.py --experiment=gan/dcgan` runs."""
    xla.configure()
    import numpy as np

    from jaxvision.models.dcgan import Discriminator, Generator
    from jaxvision.tasks.gan import gan
    from jaxvision.train.optim import Optimizer

    adam = Optimizer(rule="adam", lr=LR, momentum=BETA)
    players = Generator(SIZE, kernel=4), Discriminator(SIZE, kernel=4)
    task = gan(*players, adam.make(1), adam.make(1), latent_dim=LATENT_DIM)
    image = np.random.default_rng(0).integers(0, 256, (batch_size, SIZE, SIZE, 3), np.uint8)
    return {"training": turns.running(task, {"image": image}).train}


def _theirs(batch_size: int, layout: str) -> turns.Calls:
    import torch
    from torch.nn.functional import softplus
    from twin_networks import players

    made = players(SIZE, 1.0, LATENT_DIM)
    generator, discriminator = (net.to(memory_format=getattr(torch, layout)).train() for net in made)
    adams = [torch.optim.Adam(net.parameters(), lr=LR, betas=(BETA, 0.999)) for net in (generator, discriminator)]
    images = torch.rand(batch_size, 3, SIZE, SIZE).mul(2).sub(1).to(memory_format=getattr(torch, layout))

    def noise() -> Any:
        return torch.rand(batch_size, LATENT_DIM, 1, 1) * 2 - 1

    def train() -> None:
        adams[1].zero_grad()
        fake = generator(noise()).detach()
        (softplus(-discriminator(images)).mean() + softplus(discriminator(fake)).mean()).backward()
        adams[1].step()
        adams[0].zero_grad()
        discriminator.requires_grad_(False)  # the generator's step needs no gradient of its weights
        softplus(-discriminator(generator(noise()))).mean().backward()
        discriminator.requires_grad_(True)
        adams[0].step()

    return {"training": train}


if __name__ == "__main__":
    xla.reexec_with_huge_pages()
    app.run(main)
