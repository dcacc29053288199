"""Region proposals of Selective Search: their search, their files on disk, and records that include them."""

import concurrent.futures
import dataclasses
import functools
import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
from absl import logging
from jaxtyping import Float32, Integer
from tqdm import tqdm

from jaxvision.data import worker_process
from jaxvision.data.batches import named
from jaxvision.data.decode import Pixels
from jaxvision.data.records import Record, Records, counts, extent, fetch
from jaxvision.data.selective_search import STRATEGIES, search
from jaxvision.files import atomic_open, atomic_write, read_object
from jaxvision.foreign import reason

PER_FILE = 32  # images; a run that was killed repeats at most the search in so many

Boxes = Float32[np.ndarray, "N 4"]


def propose(image: Pixels, strategy: str = "fast", seed: int = 0, max_boxes: int = 2000) -> Boxes:
    """Propose boxes that may hold an object, the most likely first.

    Args:
        image: RGB.
        strategy: One of `selective_search.STRATEGIES`.
        seed: Of the random order; the same image and seed give the same boxes.
        max_boxes: The most boxes.

    Returns:
        (x0, y0, x1, y1) in pixels, continuous.

    Raises:
        ValueError: There is no such strategy.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy {strategy!r}: choose of {', '.join(STRATEGIES)}")
    return search(image, STRATEGIES[strategy], seed)[:max_boxes]


@dataclasses.dataclass(frozen=True)
class Stored(Sequence[Boxes]):
    """The proposals of every record, read from their files on access; see `stored`."""

    folder: Path
    images: int  # number of records

    def __len__(self) -> int:
        return self.images

    def __getitem__(self, index: int) -> Boxes:  # type: ignore[override]
        if not 0 <= index < self.images:
            raise IndexError(f"proposals of image {index} of {self.images}")
        path = _file(self.folder, index // PER_FILE)
        try:
            with open(path, "rb") as file, np.load(file) as arrays:
                boxes = arrays[str(index)]
                if boxes.dtype != np.float32 or boxes.ndim != 2 or boxes.shape[1] != 4:
                    raise ValueError("no boxes")
                return boxes
        except Exception as error:  # NumPy, zipfile and zlib raise many kinds
            raise ValueError(f"{path}: cannot be read ({reason(error)}); delete it, and it is made again") from None


def stored(
    records: Records,
    folder: str | os.PathLike,
    strategy: str = "fast",
    seed: int = 0,
    max_boxes: int = 2000,
    *,
    workers: int | None = None,
) -> Stored:
    """Search for the proposals of every record, once, and store them in `folder`.

    Files that are there are not made again, unless they are damaged, which is logged. A record that cannot be read has
    no proposals, which is logged too.

    Args:
        records: The records of a split.
        folder: For the files; made if it does not exist.
        strategy: One of `selective_search.STRATEGIES`.
        seed: Of the random order of proposals.
        max_boxes: The most proposals of an image.
        workers: Processes that share the work; None: one a core; 0: this process.

    Returns:
        A sequence of the proposals of each record.

    Raises:
        ValueError: There is no such strategy, or the folder holds proposals of other images or settings.
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
        for searched, skipped in _results(work, min(many, len(work))):
            bar.update(searched)
            for index, reason in skipped.items():
                logging.warning("no proposals: %s", named(records, index, reason))
    return Stored(folder, len(records))


@dataclasses.dataclass(frozen=True)
class Proposed:
    """The records of `parent` with "proposals" float32 [P, 4], boxes in pixels, the best first."""

    parent: Records
    proposals: Sequence  # of Boxes; not annotated, since a type check would read them before they are searched for

    def __len__(self) -> int:
        return len(self.parent)

    def __getitem__(self, index: int) -> Record:
        return {**self.parent[index], "proposals": self.proposals[index]}

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded, where the reader can."""
        return {**fetch(self.parent, index, encoded=True), "proposals": self.proposals[index]}

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of an image in pixels."""
        return extent(self.parent, index)

    def name(self, index: int) -> str:
        """Return the name of a record, for log and error messages."""
        return self.parent.name(index)

    def counts(self, *, outlined: bool = False) -> Integer[np.ndarray, "N"] | None:
        """Return how many objects each record has at most; see `records.counts`."""
        return counts(self.parent, outlined=outlined)


@dataclasses.dataclass(frozen=True)
class Searched:
    """The records of `parent` with "proposals" that `propose` searches for when a record is read."""

    parent: Records
    strategy: str  # one of `selective_search.STRATEGIES`
    seed: int  # of the random order of proposals
    max_boxes: int  # the most proposals of an image

    def __len__(self) -> int:
        return len(self.parent)

    def __getitem__(self, index: int) -> Record:
        record = self.parent[index]
        return {**record, "proposals": propose(record["image"], self.strategy, self.seed, self.max_boxes)}

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of an image in pixels."""
        return extent(self.parent, index)

    def name(self, index: int) -> str:
        """Return the name of a record, for log and error messages."""
        return self.parent.name(index)


def _claim(folder: Path, records: Records, settings: Mapping[str, object]) -> None:
    """Write the settings and images of a new folder, or compare them with those in an old one."""
    names = hashlib.sha256("\n".join(records.name(i) for i in range(len(records))).encode()).hexdigest()
    current = json.loads(json.dumps({**settings, "images": len(records), "names": names}))
    path = folder / "settings.json"
    if path.exists():
        stored_settings = read_object(path)
        if different := [key for key in current if stored_settings.get(key) != current[key]]:
            raise ValueError(f"{folder}: holds proposals of other {', '.join(different)}; delete it or choose another")
        return
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(current, indent=2))


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.npz"


def _whole(path: Path, part: range) -> bool:
    """Return True if the file holds every image of the part; the list of its arrays stands at its end."""
    if not path.exists():
        return False
    try:
        with open(path, "rb") as file, np.load(file) as arrays:
            whole = set(arrays.files) == {str(index) for index in part}
    except Exception:  # by how much of the file is left
        whole = False
    if not whole:
        logging.warning("%s is not whole, and is made again", path)
    return whole


def _search_part(
    path: Path, records: Records, part: range, strategy: str, seed: int, max_boxes: int
) -> tuple[int, dict[int, str]]:
    """Write the proposals of the records of `part`; return their number, and index -> reason of unreadable ones."""
    boxes, skipped = {}, {}
    for index in part:
        try:
            boxes[str(index)] = propose(records[index]["image"], strategy, seed, max_boxes)
        except (ValueError, OSError) as error:
            boxes[str(index)], skipped[index] = np.zeros((0, 4), np.float32), str(error)
    with atomic_open(path) as file:
        np.savez(file, allow_pickle=False, **boxes)
    return len(part), skipped


def _results(work: Sequence[functools.partial], workers: int) -> Iterator[tuple[int, dict[int, str]]]:
    """Yield the results of the calls in `work` as they end."""
    if workers < 1:
        yield from (call() for call in work)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork of a process that runs jax may hang
    pool = concurrent.futures.ProcessPoolExecutor(workers, spawn, worker_process.begin)
    try:
        for done in concurrent.futures.as_completed([pool.submit(call) for call in work]):
            yield done.result()
    except BrokenProcessPool:
        raise ValueError(
            "a process that searches for proposals was ended from outside, maybe for want of memory; take fewer "
            "--workers (the same command goes on from there)"
        ) from None
    except KeyboardInterrupt:  # also `signals.Interrupted`: a file under way would take a minute
        for worker in multiprocessing.active_children():
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
