"""Region proposals: by Selective Search, kept on disk, and as a part of records."""

import concurrent.futures
import dataclasses
import functools
import hashlib
import json
import multiprocessing
import os
import signal
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
from absl import logging
from jaxtyping import Float32
from tqdm import tqdm

from jaxvision.data.batches import named
from jaxvision.data.decode import Pixels
from jaxvision.data.records import Record, Records, extent, fetch
from jaxvision.data.selective_search import STRATEGIES, search
from jaxvision.files import DISK_FULL, atomic_open, atomic_write

PER_FILE = 32  # images: so many are searched again at most after a run was killed

Boxes = Float32[np.ndarray, "N 4"]


def propose(image: Pixels, strategy: str = "fast", seed: int = 0, max_boxes: int = 2000) -> Boxes:
    """At most `max_boxes` boxes in which an object may be, the most likely first: x0, y0, x1, y1, continuous pixels.

    `strategy` is one of `selective_search.STRATEGIES`. The same image and seed give the same boxes.
    Raises ValueError where there is no such strategy.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy {strategy!r}: choose of {', '.join(STRATEGIES)}")
    return search(image, STRATEGIES[strategy], seed)[:max_boxes]


@dataclasses.dataclass(frozen=True)
class Stored(Sequence[Boxes]):
    """The proposals of every record, read from `folder` as they are asked for; see `stored`."""

    folder: Path
    images: int

    def __len__(self) -> int:
        return self.images

    def __getitem__(self, index: int) -> Boxes:  # type: ignore[override]
        if not 0 <= index < self.images:
            raise IndexError(f"proposals of image {index} of {self.images}")
        path = _file(self.folder, index // PER_FILE)
        try:
            with open(path, "rb") as file, np.load(file) as found:
                return found[str(index)]
        except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"{path}: cannot be read ({error}); delete it, and it is made again") from None


def stored(
    records: Records,
    folder: str | os.PathLike,
    strategy: str = "fast",
    seed: int = 0,
    max_boxes: int = 2000,
    *,
    workers: int | None = None,
) -> Stored:
    """The proposals of every record, searched for once and kept in `folder`, the images of a file in one process.

    What is there already is not searched for again; a file that is not whole is, with a line in the log. A record that
    cannot be read has no proposals, which the log says too. `workers` processes share the work, by default one a core;
    with 0 this process does it. Raises ValueError where the folder holds proposals of other images or settings.
    """
    folder = Path(folder)
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy {strategy!r}: choose of {', '.join(STRATEGIES)}")
    _claim(folder, records, {**dataclasses.asdict(STRATEGIES[strategy]), "seed": seed, "max_boxes": max_boxes})
    parts = [range(at, min(at + PER_FILE, len(records))) for at in range(0, len(records), PER_FILE)]
    missing = [number for number, part in enumerate(parts) if not _whole(_file(folder, number), part)]
    work = [
        functools.partial(_search_part, _file(folder, n), records, parts[n], strategy, seed, max_boxes) for n in missing
    ]
    many = len(os.sched_getaffinity(0)) if workers is None else workers
    images = sum(len(parts[n]) for n in missing)
    with tqdm(total=images, desc="proposals", unit="image", disable=None if images else True) as bar:
        for found, skipped in _results(work, min(many, len(work))):
            bar.update(found)
            for index, reason in skipped.items():
                logging.warning("no proposals: %s", named(records, index, reason))
    return Stored(folder, len(records))


@dataclasses.dataclass(frozen=True)
class Proposed:
    """The records of `parent` with "proposals" float32 [P, 4], boxes in pixels of the image, the best first."""

    parent: Records
    proposals: Sequence  # of Boxes; a check of their type would read them, when they may not be searched for yet

    def __len__(self) -> int:
        return len(self.parent)

    def __getitem__(self, index: int) -> Record:
        return {**self.parent[index], "proposals": self.proposals[index]}

    def encoded(self, index: int) -> Record:
        return {**fetch(self.parent, index, encoded=True), "proposals": self.proposals[index]}

    def extent(self, index: int) -> tuple[int, int]:
        return extent(self.parent, index)

    def name(self, index: int) -> str:
        return self.parent.name(index)


@dataclasses.dataclass(frozen=True)
class Searched:
    """The records of `parent` with "proposals" that `propose` finds when they are read."""

    parent: Records
    strategy: str
    seed: int
    max_boxes: int

    def __len__(self) -> int:
        return len(self.parent)

    def __getitem__(self, index: int) -> Record:
        record = self.parent[index]
        return {**record, "proposals": propose(record["image"], self.strategy, self.seed, self.max_boxes)}

    def extent(self, index: int) -> tuple[int, int]:
        return extent(self.parent, index)

    def name(self, index: int) -> str:
        return self.parent.name(index)


def _claim(folder: Path, records: Records, settings: Mapping[str, object]) -> None:
    """Writes down of what the folder holds proposals, or compares with what stands there."""
    names = hashlib.sha256("\n".join(records.name(i) for i in range(len(records))).encode()).hexdigest()
    wanted = json.loads(json.dumps({**settings, "images": len(records), "names": names}))
    path = folder / "settings.json"
    if path.exists():
        there = json.loads(path.read_text())
        if different := [key for key in wanted if there.get(key) != wanted[key]]:
            raise ValueError(f"{folder}: holds proposals of other {', '.join(different)}; delete it or choose another")
        return
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(wanted, indent=2))


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.npz"


def _whole(path: Path, part: range) -> bool:
    """Whether the file holds every image of the part: what a zip holds is listed at its end."""
    if not path.exists():
        return False
    try:
        with open(path, "rb") as file, np.load(file) as found:
            whole = set(found.files) == {str(index) for index in part}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError):  # what NumPy raises, by how much is left of it
        whole = False
    if not whole:
        logging.warning("%s is not whole, and is made again", path)
    return whole


def _search_part(
    path: Path, records: Records, part: range, strategy: str, seed: int, max_boxes: int
) -> tuple[int, dict[int, str]]:
    """Writes the proposals of the records of `part`; how many these are, and why some could not be read."""
    boxes, skipped = {}, {}
    for index in part:
        try:
            boxes[str(index)] = propose(records[index]["image"], strategy, seed, max_boxes)
        except (ValueError, OSError) as error:
            boxes[str(index)], skipped[index] = np.zeros((0, 4), np.float32), str(error)
    try:
        with atomic_open(path) as file:
            np.savez(file, allow_pickle=False, **boxes)
    except OSError as error:
        remedy = "; make room, the same command goes on from there" if error.errno in DISK_FULL else ""
        raise OSError(f"{path}: {error.strerror or error}{remedy}") from None
    return len(part), skipped


def _results(work: Sequence[functools.partial], workers: int) -> Iterator[tuple[int, dict[int, str]]]:
    """What the calls of `work` return, as they end."""
    if workers < 1:
        yield from (call() for call in work)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork of a process that runs jax may hang
    pool = concurrent.futures.ProcessPoolExecutor(workers, spawn, _start_worker)
    try:
        for done in concurrent.futures.as_completed([pool.submit(call) for call in work]):
            yield done.result()
    except BrokenProcessPool:
        raise ValueError(
            "a process that searches for proposals was ended from outside, maybe for want of memory; take fewer "
            "--workers (the same command goes on from there)"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Leaves Ctrl-C to the parent, which then waits for files under way, and ends when the parent was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def leave() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
