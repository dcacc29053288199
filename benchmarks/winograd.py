"""Where Winograd's form of a 3×3 convolution pays: layers of many sizes, by Winograd and in lax's form, in one process.

    python benchmarks/winograd.py [--maps=1x14,8x14] [--channels=64,256,512x1024] [--rounds=7] [--forward_only]

`ops/cpu/convolution.py` chooses between the two by the number of tiles of 4×4 outputs and by the kernel's channels; its
bounds were read off this table. The two forms take turns; a line holds the median of each in milliseconds of wall time,
the quartiles of their ratio over the rounds, and the ratio in CPU time, which other jobs disturb less.
"""

import pathlib
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from jaxvision.run import xla

_MAPS = flags.DEFINE_list(
    "maps",
    ["1x7", "4x7", "8x7", "16x7", "24x7", "1x14", "2x14", "4x14", "6x14", "8x14", "1x28", "2x28", "4x28", "1x56"],
    "images × height and width of their maps",
)
_CHANNELS = flags.DEFINE_list("channels", ["32", "64", "128", "256", "512"], "channels × outputs; one number: as many")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "rounds; the median counts", lower_bound=1)
_FORWARD = flags.DEFINE_bool("forward_only", False, "leave the gradients out")

PADS = ((1, 1), (1, 1))


def main(argv: list[str]) -> None:
    """Print a line for each layer."""
    del argv
    xla.configure()
    print("images size channels outputs tiles | what | Winograd ms, lax ms | lax / Winograd (quartiles) | in CPU time")
    for channels in _CHANNELS.value:
        for maps in _MAPS.value:
            batch, size = map(int, maps.split("x"))
            into, out = (*map(int, channels.split("x")),) * (1 if "x" in channels else 2)
            for what, calls in _calls(batch, size, into, out).items():
                if what == "forward" or not _FORWARD.value:
                    tiles = batch * (-(-size // 4)) ** 2
                    print(f"{batch:3} {size:3} {into:4} {out:4} {tiles:5} | {what:9} | {_compared(calls)}", flush=True)


def _calls(batch: int, size: int, into: int, out: int) -> dict[str, list[Callable[[], Any]]]:
    """Return a layer by Winograd and by lax, forward and with both gradients, compiled."""
    import jax
    import jax.numpy as jnp

    from jaxvision.ops import convolution, windows
    from jaxvision.ops.cpu import winograd

    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(batch, size, size, into)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(3, 3, into, out)), jnp.float32)
    dy = jnp.asarray(rng.normal(size=(batch, size, size, out)), jnp.float32)

    def by_winograd(x: Any, kernel: Any) -> Any:
        return winograd.conv3x3(windows.pad(x, PADS), kernel)

    def by_lax(x: Any, kernel: Any) -> Any:
        return convolution.convolve(x, kernel, (1, 1), PADS)

    def step(form: Callable[..., Any], x: Any, kernel: Any, dy: Any) -> Any:
        y, pullback = jax.vjp(form, x, kernel)
        return y, pullback(dy)

    forms = (by_winograd, by_lax)
    forward = [partial(jax.jit(form), x, kernel) for form in forms]
    gradients = [partial(jax.jit(partial(step, form)), x, kernel, dy) for form in forms]
    return {"forward": forward, "gradients": gradients}


def _compared(calls: list[Callable[[], Any]]) -> str:
    import jax

    for call in calls:
        jax.block_until_ready(call())
    wall, cpu = np.zeros((_ROUNDS.value, 2)), np.zeros((_ROUNDS.value, 2))
    repeats = [_repeats(call) for call in calls]
    for row in range(_ROUNDS.value):
        for side, (call, count) in enumerate(zip(calls, repeats, strict=True)):
            began, busy = time.perf_counter(), time.process_time()
            for _ in range(count):
                jax.block_until_ready(call())
            wall[row, side] = 1000 * (time.perf_counter() - began) / count
            cpu[row, side] = 1000 * (time.process_time() - busy) / count
    low, middle, high = np.quantile(wall[:, 1] / wall[:, 0], [0.25, 0.5, 0.75])
    ours, lax = np.median(wall, axis=0)
    in_cpu = np.divide(*np.median(cpu, axis=0)[::-1])
    return f"{ours:7.2f} {lax:7.2f} | {middle:5.2f} ({low:.2f} to {high:.2f}) | {in_cpu:5.2f}"


def _repeats(call: Callable[[], Any]) -> int:
    """Return how often a call is made between two looks at the clock: for about 20 ms."""
    import jax

    began = time.perf_counter()
    jax.block_until_ready(call())
    return max(1, min(50, round(0.02 / (time.perf_counter() - began))))


if __name__ == "__main__":
    xla.reexec_with_huge_pages()
    app.run(main)
