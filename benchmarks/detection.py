"""Two-stage detection on this machine's CPU, ours against torchvision: milliseconds, medians of alternating rounds.

    python benchmarks/detection.py [--rows=roi,network] [--rounds=5] [--batch_size=2]

`network` is the whole of Faster R-CNN R50-FPN, inference of one image and a training step with its update. torch runs
on NCHW and on channels_last, and its best counts. Each side has a process of its own, whose peak memory is printed:
see `turns` and `detection_network`. The other rows are single operations: see `detection_ops`.
"""

import multiprocessing
import os
import pathlib
import platform
import sys
from importlib import metadata

import detection_network
import turns
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from jaxvision.run import xla

_GROUPS = ("roi", "pyramid", "nms", "network")
_ROWS = flags.DEFINE_list("rows", list(_GROUPS), f"groups of rows to measure, of {', '.join(_GROUPS)}")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "alternating rounds; the median counts", lower_bound=1)
_ROIS = flags.DEFINE_integer("rois", 512, "RoIs an image, of the RoIAlign and RoIPool rows", lower_bound=1)
_CHANNELS = flags.DEFINE_integer("channels", 256, "channels of the feature maps of these rows", lower_bound=1)
_BATCH = flags.DEFINE_integer("batch_size", 1, "images of the network's training step", lower_bound=1)
flags.register_validator("rows", lambda rows: set(rows) <= set(_GROUPS), f"choose of {', '.join(_GROUPS)}")


def main(argv: list[str]) -> None:
    del argv
    turns.require("detection.py", "torch", "torchvision")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # where torch runs too
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "torch", "torchvision"))
    print(f"{platform.machine()} {_processor()}, {_cores()} cores; {versions}; float32; milliseconds, medians\n")
    print(f"{'':42}{'jaxvision':>10}{'torchvision':>13}{'ratio':>8}")
    for group in _ROWS.value:
        if group == "network":
            _print_network()
        else:
            # In a process of its own as well: a child's peak memory starts from its parent's.
            settings = _ROIS.value, _CHANNELS.value, _ROUNDS.value, _cores()
            process = multiprocessing.get_context("spawn").Process(target=_print_operations, args=(group, settings))
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(f"the rows {group} have stopped, for the reason above")


def _print_network() -> None:
    for what, images in (("inference", 1), ("training", _BATCH.value)):
        found = detection_network.measure(what, images, _cores(), _ROUNDS.value)
        ours = found.pop("jaxvision")
        best = min(found, key=lambda layout: found[layout].seconds[what])
        name = f"Faster R-CNN R50-FPN, {what}, {images} image{'s' * (images > 1)}"
        memory = f"  peak {ours.peak_mib:.0f} and {found[best].peak_mib:.0f} MiB, torch on {best}"
        _print_row(name, ours.seconds[what], found[best].seconds[what], memory)


def _print_operations(group: str, settings: tuple[int, int, int, int]) -> None:
    xla.configure()
    import detection_ops

    for row in detection_ops.measure(group, detection_ops.Settings(*settings)):
        _print_row(*row)


def _print_row(name: str, ours: float, theirs: float, remark: str = "") -> None:
    print(f"{name:42}{ours * 1e3:10.1f}{theirs * 1e3:13.1f}{theirs / ours:8.2f}{remark}", flush=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    xla.reexec_with_huge_pages()
    app.run(main)
