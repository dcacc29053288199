"""Sources with the class names of a network, for prediction without data or evaluation on other numbers of classes."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Integer, UInt8

from jaxvision.data.annotated_images import AnnotatedImages
from jaxvision.data.label_maps import UNLABELLED
from jaxvision.data.records import Record, Records, Source, counts, extent, fetch

NO_DATA = "none"


@dataclasses.dataclass(frozen=True)
class OneGreyImage:
    """A single record for experiments that are built without data and need only its shape."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Record:
        return {"image": np.full((32, 32, 3), 128, np.uint8), "label": 0}

    def name(self, index: int) -> str:
        """Return the name of a record, for log and error messages."""
        return "a grey image"


@dataclasses.dataclass(frozen=True)
class Renumbered:
    """Records whose "label", "labels" and "label_map" are replaced by `numbers[label]`."""

    parent: Records
    numbers: tuple[int, ...]  # new label of each label of the parent

    def __len__(self) -> int:
        return len(self.parent)

    def __getitem__(self, index: int) -> Record:
        return self._changed(self.parent[index])

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded, where the reader can."""
        return self._changed(fetch(self.parent, index, encoded=True))

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of an image in pixels."""
        return extent(self.parent, index)

    def name(self, index: int) -> str:
        """Return the name of a record, for log and error messages."""
        return self.parent.name(index)

    def counts(self, *, outlined: bool = False) -> Integer[np.ndarray, "N"] | None:
        """Return how many objects each record has at most; see `records.counts`."""
        return counts(self.parent, outlined=outlined)

    def _changed(self, record: Record) -> Record:
        changes: Record = {}
        if "label" in record:
            changes["label"] = self.numbers[int(record["label"])]
        if "labels" in record:
            changes["labels"] = np.array(self.numbers, np.int32)[record["labels"]]
        if "label_map" in record:
            changes["label_map"] = self._table()[record["label_map"]]
        return {**record, **changes}

    def _table(self) -> UInt8[np.ndarray, "256"]:
        table: np.ndarray = np.full(256, UNLABELLED, np.uint8)
        table[: len(self.numbers)] = self.numbers
        return table


@dataclasses.dataclass(frozen=True)
class WithoutImages(Source):
    """A source of class names, whose every split is one grey image."""

    def __getitem__(self, split: str) -> Records:
        return OneGreyImage()


def without_images(class_names: Sequence[str]) -> Source:
    """Return the source of `--data=none`, with one grey image; ValueError where there are no class names."""
    if not class_names:
        raise ValueError(
            "--data=none has no classes of its own: use it with --init_from, of a network with a classifier"
        )
    return WithoutImages({"train": OneGreyImage(), "val": OneGreyImage()}, tuple(class_names))


def renumbered(source: Source, class_names: Sequence[str]) -> Source:
    """Return the source with the network's classes if these include, by name, all of its own; else unchanged.

    For example, COCO's 80 categories become the 91 of some networks, and a folder with a few of ImageNet's classes gets
    all 1000.
    """
    if (
        not source.class_names
        or source.class_names == tuple(class_names)
        or not set(source.class_names) <= set(class_names)
    ):
        return source
    numbers = tuple(class_names.index(name) for name in source.class_names)
    splits = {name: _renumbered(records, numbers, len(class_names)) for name, records in source.splits.items()}
    return dataclasses.replace(source, splits=splits, class_names=tuple(class_names))


def by_name(spec: str, source: Source, learned: Sequence[str]) -> Source:
    """Return the source with the classes that a run learned, in the run's order.

    Args:
        spec: what --data says, for the error.
        source: the data to use the run's network on.
        learned: the run's class names by label.

    Returns:
        The source, whose classes may be a part of those learned.

    Raises:
        ValueError: the data has classes that the run did not learn; the text lists both.
    """
    unknown = [name for name in source.class_names if name not in learned]
    if unknown:
        raise ValueError(
            f"--data={spec}: has classes that this run did not learn: {_listed(unknown)}; it learned "
            f"{_listed(learned)}. Name the classes as in training"
        )
    return renumbered(source, learned)


def _renumbered(records: Records, numbers: tuple[int, ...], count: int) -> Records:
    """Return records with label i as `numbers[i]`, of `count` classes."""
    if not isinstance(records, AnnotatedImages):
        return Renumbered(records, numbers)
    ids: list[int | str] = [-1] * (count - 1)  # -1: a class that the annotation file lacks
    for label, number in enumerate(records.category_ids, start=1):
        ids[numbers[label] - 1] = number
    return records.renamed(numbers, tuple(ids))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
