"""Data sets: random-access records, their splits, and the source that holds them."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from absl import logging
from jaxtyping import Int, Integer

from jaxvision.channels import IMAGENET_MEAN, IMAGENET_STD, Channels
from jaxvision.data import decode

Record = dict[str, Any]

# Keys that the pipeline gives to transforms or takes from records, and that no batch holds; see `carried`.
INDEX = "_index"  # the record's position in its split
NOTE = "_note"  # text for the log: the part of the record that a reader or transform left out

_SPLIT = re.compile(r"(\w+)(?:\[(-?\d+%?)?:(-?\d+%?)?\])?")


@runtime_checkable
class Records(Protocol):
    """A random-access sequence of records; `records[i]` raises ValueError or OSError where record i is broken.

    A record is a dict of numpy values: "image" uint8 [H, W, 3] RGB, and, by source, "label" int, "boxes" and so on. A
    reader of files may also have the method `encoded(i)`, which returns the record with a `decode.Encoded` as "image",
    so that a random crop decodes only at the scale it needs. A reader that knows an image's size without its pixels may
    have the method `extent(i)`, which returns (width, height). A reader of objects that knows their numbers may have
    the method `counts(outlined=False)`, see the function of that name.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Record: ...
    def name(self, index: int) -> str: ...


@dataclasses.dataclass(frozen=True)
class Subset:
    """The records of `parent` at `indices`, in that order."""

    parent: Records
    indices: Integer[np.ndarray, "N"]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Record:
        return self.parent[int(self.indices[index])]

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded, where the reader can."""
        return fetch(self.parent, int(self.indices[index]), encoded=True)

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of an image in pixels."""
        return extent(self.parent, int(self.indices[index]))

    def name(self, index: int) -> str:
        """Return the name of a record, for log and error messages."""
        return self.parent.name(int(self.indices[index]))

    def counts(self, *, outlined: bool = False) -> Integer[np.ndarray, "N"] | None:
        """Return how many objects each record has at most; see the function `counts`."""
        known = counts(self.parent, outlined=outlined)
        return None if known is None else known[self.indices]


def carried(record: Record) -> Record:
    """Return the entries of a record that a transform, whatever it makes of the rest, hands on to the pipeline."""
    return {key: record[key] for key in (INDEX, NOTE) if key in record}


def evenly(records: Records, most: int) -> Subset:
    """Return at most `most` of the records, spread evenly from the first to the last."""
    return Subset(records, np.unique(np.linspace(0, len(records) - 1, most).round().astype(np.int64)))


def fetch(records: Records, index: int, *, encoded: bool = False) -> Record:
    """Read record `index`.

    Args:
        records: The records of a split.
        index: The position of the record.
        encoded: True to leave the image undecoded where the reader can.

    Returns:
        The record; its "image" is an array or a `decode.Encoded`.

    Raises:
        ValueError, OSError: The record is broken.
    """
    read = getattr(records, "encoded", None) if encoded else None
    return read(index) if read else records[index]


def extent(records: Records, index: int) -> tuple[int, int]:
    """Return (width, height) of the image of record `index`, from its annotation or header where the reader can."""
    known = getattr(records, "extent", None)
    return known(index) if known else decode.extent(fetch(records, index, encoded=True)["image"])


def by_extent(records: Records, group: Callable[[int, int], int]) -> Int[np.ndarray, "N"]:
    """Return the group of each record.

    Args:
        records: the records of a split.
        group: gives the number of a group by the width and height of an image in pixels.

    Returns:
        The numbers; 0 also for a record that cannot be read.
    """

    def of(index: int) -> int:
        try:
            return group(*extent(records, index))
        except (ValueError, OSError):
            return 0

    return np.array([of(index) for index in range(len(records))], np.int64)


def counts(records: Records, *, outlined: bool = False) -> Integer[np.ndarray, "N"] | None:
    """Return how many objects each record has at most, without reading one.

    Args:
        records: the records of a split.
        outlined: count only objects with an outline, that is, with a mask.

    Returns:
        The numbers; None where the reader does not know them.
    """
    known = getattr(records, "counts", None)
    return known(outlined=outlined) if known else None


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set: its splits, class names, and channel mean and standard deviation in 0..255 units.

    `source["train"]`, `source["train[:90%]"]`, `source["train[100:200]"]` are Records. Slices are of the reader's
    own order, which for class folders is sorted by class. A slice that ends beyond the last record ends with it, which
    is logged once: the bounds of presets were chosen for larger sets.
    """

    splits: Mapping[str, Records]  # "train", "val", and others that the reader has
    class_names: tuple[str, ...]  # by label
    mean: Channels = IMAGENET_MEAN  # 0..255
    std: Channels = IMAGENET_STD  # 0..255
    origins: Mapping[str, str] = dataclasses.field(default_factory=dict)  # for each split where it was read from
    left_out: tuple[str, ...] = ()  # a line for each annotation that the set has and its records lack

    @property
    def num_classes(self) -> int:
        """The number of classes, background included where the source has it."""
        return len(self.class_names)

    def __getitem__(self, split: str) -> Records:
        match = _SPLIT.fullmatch(split.strip())
        if not match:
            raise ValueError(f"split {split!r}: write it like train, train[:90%], train[90%:] or train[100:200]")
        name, start, stop = match.groups()
        if name not in self.splits:
            few = "; one record is too few to take validation from" if name == "val" else ""
            raise ValueError(f"split {split!r}: this source has {', '.join(sorted(self.splits))}{few}")
        records = self.splits[name]
        return records if "[" not in split else _slice(split, records, start, stop)


def _slice(split: str, records: Records, start: str | None, stop: str | None) -> Records:
    first = _bound(split, start, len(records)) if start else 0
    last = _bound(split, stop, len(records), end=True) if stop else len(records)
    if first >= last:
        raise ValueError(f"split {split!r}: empty; the whole split has {len(records)} records")
    return Subset(records, np.arange(first, last))


def _bound(split: str, text: str, length: int, *, end: bool = False) -> int:
    """Return a slice's bound as an index; percentages round to the nearest record, so that neighbouring slices tile.

    An end beyond the last record is the number of records.
    """
    value = int(text.rstrip("%"))
    limit = 100 if text.endswith("%") else length
    if end and value > length and not text.endswith("%"):
        _tell_of_end(split, length)
        return length
    if abs(value) > limit:
        raise ValueError(f"split {split!r}: {text} is out of range; the whole split has {length} records")
    value = value + limit if value < 0 else value
    return (value * length + 50) // 100 if text.endswith("%") else value


@functools.cache
def _tell_of_end(split: str, length: int) -> None:
    """Log, once for each split, that a slice ends with its last record."""
    logging.warning("split %r: the whole split has %d records, so the slice ends with the last of them", split, length)


def label_names(count: int) -> tuple[str, ...]:
    """Return class names "0", "1", … for a source that does not name its classes."""
    return tuple(str(label) for label in range(count))


def has_classes(source: Source) -> bool:
    """Return True if each image of the source has a label, one of several classes."""
    return source.num_classes > 1 and "label" in fetch(source["train"], 0, encoded=True)
