"""Images per second and core: JPEG decode, Inception crop to 224 px, flip and batching, against torchvision.

    python benchmarks/input_pipeline.py [--folder=DIR] [--workers=0,2]

Both read the same files into uint8 batches: ours through `pipeline.train`, torch's through ImageFolder,
RandomResizedCrop, RandomHorizontalFlip, PILToTensor (its fastest way to a uint8 batch) and DataLoader. Rounds alternate
and medians count. "Per core" is per second of CPU time of this process and its workers together, which what else the
machine does hardly moves; the plain rate is by the wall clock.
"""

import contextlib
import multiprocessing
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator

import numpy as np
import record
from absl import app, flags
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from jaxvision.data import crops, folder, pipeline, transforms  # noqa: E402

_FOLDER = flags.DEFINE_string("folder", None, "class folders of images; synthetic 500×375 JPEGs without it")
_WORKERS = flags.DEFINE_list("workers", ["0", "2"], "numbers of worker processes to measure")
_BATCH = flags.DEFINE_integer("batch_size", 64, "images a batch")
_BATCHES = flags.DEFINE_integer("batches", 12, "batches timed a round")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "alternating rounds; the median counts")

_SIZE = 224
_SYNTHETIC = 256


def main(argv: list[str]) -> None:
    try:
        import torch  # noqa: F401
        import torchvision  # noqa: F401
    except ImportError:
        sys.exit("benchmarks/input_pipeline.py compares with torch: pip install torch torchvision")
    with tempfile.TemporaryDirectory() as temporary:
        root = _FOLDER.value or _write_photos(pathlib.Path(temporary))
        for workers in map(int, _WORKERS.value):
            ours, theirs = _compare(root, workers)
            for unit, mine, peers in zip(("images/s per core", "images/s"), ours, theirs, strict=True):
                print(
                    f"workers={workers}: jaxvision {mine:.0f}, torchvision {peers:.0f} {unit}, ratio {mine / peers:.2f}"
                )


def _compare(root: str, workers: int) -> tuple[list[float], list[float]]:
    ours, theirs = [], []
    for seed in range(_ROUNDS.value):
        ours.append(_rates(_ours(root, workers, seed), workers))
        theirs.append(_rates(_theirs(root, workers, seed), workers))
    for index, what in enumerate(("an image, CPU seconds", "an image, seconds")):
        seconds = {side: [1 / one[index] for one in rates] for side, rates in ((record.OURS, ours), ("torch", theirs))}
        record.leave(f"{workers} workers", what, seconds)
    return [statistics.median(column) for column in zip(*ours, strict=True)], [
        statistics.median(column) for column in zip(*theirs, strict=True)
    ]


def _rates(opened: contextlib.AbstractContextManager[Iterator[object]], workers: int) -> tuple[float, float]:
    """Images per CPU second and per second, once what was read ahead during the start is used up."""
    with opened as batches:
        for _ in range(2 + 4 * workers):
            next(batches)
        cpu, wall = _cpu_seconds(), time.perf_counter()
        for _ in range(_BATCHES.value):
            next(batches)
        images = _BATCHES.value * _BATCH.value
        return images / (_cpu_seconds() - cpu), images / (time.perf_counter() - wall)


def _cpu_seconds() -> float:
    """CPU time of this process and its live workers (Linux)."""
    ticks = 0
    for worker in multiprocessing.active_children():
        fields = pathlib.Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def _ours(root: str, workers: int, seed: int) -> contextlib.AbstractContextManager[Iterator[object]]:
    transform = transforms.compose(crops.inception_crop(_SIZE), transforms.horizontal_flip())
    records = folder.load(f"folder:{root}")["train"]
    return contextlib.closing(pipeline.train(records, transform, _BATCH.value, seed=seed, workers=workers)(0, 1))


@contextlib.contextmanager
def _theirs(root: str, workers: int, seed: int) -> Iterator[Iterator[object]]:
    import torch
    from torch.utils import data
    from torchvision import datasets
    from torchvision import transforms as T

    torch.set_num_threads(1)
    steps = [T.RandomResizedCrop(_SIZE), T.RandomHorizontalFlip(), T.PILToTensor()]
    images = datasets.ImageFolder(os.path.join(root, "train"), T.Compose(steps))
    generator = torch.Generator().manual_seed(seed)
    endless = data.RandomSampler(images, replacement=True, num_samples=10**6, generator=generator)
    loader = data.DataLoader(images, _BATCH.value, sampler=endless, num_workers=workers)
    batches = iter(loader)
    yield batches
    del batches, loader  # ends the workers


def _write_photos(root: pathlib.Path) -> str:
    """JPEGs with the size (500×375), quality and mix of smooth and fine detail of ImageNet's photographs."""
    rng = np.random.default_rng(0)
    for split, count in (("train", _SYNTHETIC), ("val", 2)):
        for index in range(count):
            path = root / split / f"class{index % 2}" / f"{index:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            _photo(rng).save(path, quality=92)
    return str(root)


def _photo(rng: np.random.Generator) -> Image.Image:
    values = np.zeros((375, 500, 3), np.float32)
    for cells in (3, 8, 20, 50, 125):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells + cells // 3, 3), dtype=np.uint8))
        values += np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), np.float32) / np.sqrt(cells)
    values = (values - values.mean()) / values.std() * 55 + 118 + rng.normal(0, 5, values.shape)
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    app.run(main)
