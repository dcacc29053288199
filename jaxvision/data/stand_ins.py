"""Data sets of which only the shapes are there, and batches that are one record over and over: for plans of programs.

A plan wants to know how much memory a step takes before a data set is downloaded, and before a batch of it is read.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int

from jaxvision.data import specs
from jaxvision.data.batches import Findings, Reader
from jaxvision.data.coco_names import COCO_NAMES
from jaxvision.data.objects import VOC_NAMES
from jaxvision.data.records import Record, Records, Source, label_names
from jaxvision.data.transforms import Transform


class Known(NamedTuple):
    """The published facts about a data set."""

    classes: tuple[str, ...]  # with the background where there is one; (): its images have no labels
    train: int  # records
    val: int  # records
    width: int = 500  # of an image in pixels
    height: int = 375
    objects: int = 0  # of the image with the most


_VOC = ("background", *VOC_NAMES)
KNOWN = {
    "tfds:imagenet2012": Known(label_names(1000), 1_281_167, 50_000),
    "tfds:cifar10": Known(label_names(10), 50_000, 10_000, 32, 32),
    "tfds:celeb_a": Known((), 162_770, 19_867, 178, 218),
    "tfds:oxford_iiit_pet": Known(("pet", "background", "border"), 3680, 3669),
    "idx:fashion-mnist": Known(label_names(10), 60_000, 10_000, 28, 28),
    "masks:camvid": Known(label_names(11), 367, 101, 480, 360),
    "masks:cells": Known(label_names(2), 30, 30, 512, 512),
    "voc": Known(_VOC, 5011, 4952, objects=42),
    "sbd": Known(_VOC, 8498, 736, objects=42),
    "coco": Known(("background", *COCO_NAMES), 118_287, 5000, 640, 480, objects=93),
}
"""The data sets of the presets, by spec, or by the kind of it where all of that kind are alike."""


@dataclasses.dataclass(frozen=True)
class StandIns:
    """Records of a data set that need not be there: one image in colours, three objects with masks, a label map."""

    known: Known
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Record:
        classes = len(self.known.classes)
        return {**self._record, "label": index % classes} if classes else dict(self._record)

    @functools.cached_property
    def _record(self) -> Record:
        """Make the part that all records share, once, and not before a whole record is asked for."""
        width, height, classes = self.known.width, self.known.height, len(self.known.classes)
        boxes = _boxes(width, height)
        label_map = np.zeros((height, width), np.uint8)
        label_map[: height // 2, : width // 2] = min(1, max(classes - 1, 0))  # an object on background
        colour = np.array([0, 90, 200], np.uint8).reshape(1, 1, 3)
        return {
            "image": np.broadcast_to(colour, (height, width, 3)),
            "boxes": boxes,
            "labels": np.arange(len(boxes), dtype=np.int32) % max(classes - 1, 1) + 1,
            "masks": np.broadcast_to(np.True_, (len(boxes), height, width)),
            "label_map": label_map,
        }

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of an image in pixels."""
        return self.known.width, self.known.height

    def counts(self, *, outlined: bool = False) -> Int[np.ndarray, "N"]:
        """Return how many objects each record has at most."""
        return np.full(self.count, self.known.objects)

    def name(self, index: int) -> str:
        """Return the name of a record, for log and error messages."""
        return f"stand-in {index}"


class OneForAll:
    """A single batch of which every row is the first record: views, so that it takes the room of one row."""

    def __init__(self, reader: Reader, rows: int, masked: bool) -> None:
        """Read nothing yet; `rows` is the share of the batch that this process has, `masked` adds "_mask"."""
        self._reader, self._rows, self._masked, self._given = reader, rows, masked, False

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        if self._given:
            raise StopIteration
        self._given = True
        record = self._reader.read(0, 0, Findings({}, {})) or {}
        record = {**record, "_mask": np.True_} if self._masked else record
        return {key: np.broadcast_to(value, (self._rows, *np.shape(value))) for key, value in record.items()}

    def close(self) -> None:
        """Do nothing, since no file or process is open."""


def source(spec: str) -> Source | None:
    """Return a stand-in for the data set that `--data` names; None where nothing is published of it."""
    trimmed = spec.partition(",")[0]
    known = KNOWN.get(trimmed) or KNOWN.get(specs.kind(spec))
    if known is None:
        return None
    train, val = StandIns(known, known.train), StandIns(known, known.val)
    return Source({"train": train, "trainval": train, "val": val, "test": val}, known.classes)


def one_for_all(
    records: Records, transform: Transform, batch_size: int, *, masked: bool
) -> Callable[[int, int], OneForAll]:
    """Return data in the place of `pipeline.train` or `pipeline.evaluate` where only shapes matter.

    Args:
        records: the records of a split; the first is read.
        transform: turns it into arrays.
        batch_size: rows of a batch over all processes.
        masked: True to add "_mask", as evaluation data have it.

    Returns:
        A function of the number of this process and the number of processes.
    """
    reader = Reader(records, transform, 0, strict=True)
    return lambda shard, shards: OneForAll(reader, batch_size // shards, masked)


def _boxes(width: int, height: int) -> Float32[np.ndarray, "N 4"]:
    """Return three boxes that lie apart."""
    shares = np.array([[0.1, 0.1, 0.4, 0.5], [0.5, 0.2, 0.9, 0.7], [0.2, 0.6, 0.4, 0.9]], np.float32)
    return shares * np.array([[width, height, width, height]], np.float32)
