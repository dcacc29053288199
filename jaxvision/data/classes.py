"""Class names that come from a network rather than from data: to predict without any, or to evaluate on what is named
alike.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from jaxvision.data.records import Record, Records, Source, extent, fetch

NO_DATA = "none"
UNLABELLED = 255  # in label maps


@dataclasses.dataclass(frozen=True)
class OneGreyImage:
    """A record for experiments that are built without data, of which only the shape counts."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Record:
        return {"image": np.full((32, 32, 3), 128, np.uint8), "label": 0}

    def name(self, index: int) -> str:
        return "a grey image"


@dataclasses.dataclass(frozen=True)
class Renumbered:
    """Records whose "label", "labels" and "label_map" are replaced by `numbers[label]`."""

    parent: Records
    numbers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.parent)

    def __getitem__(self, index: int) -> Record:
        return self._changed(self.parent[index])

    def encoded(self, index: int) -> Record:
        return self._changed(fetch(self.parent, index, encoded=True))

    def extent(self, index: int) -> tuple[int, int]:
        return extent(self.parent, index)

    def name(self, index: int) -> str:
        return self.parent.name(index)

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


def without_images(class_names: Sequence[str]) -> Source:
    """`--data=none`: a source of nothing but class names."""
    if not class_names:
        raise ValueError(
            "--data=none has no classes of its own: use it with --init_from, of a network with a classifier"
        )
    return Source({"train": OneGreyImage(), "val": OneGreyImage()}, tuple(class_names))


def renumbered(source: Source, class_names: Sequence[str]) -> Source:
    """The source with the network's classes, where all of its own are among them by name; else as it is.

    COCO's 80 categories are so brought to the 91 that some networks have, and a folder of a few of ImageNet's classes
    to all of them.
    """
    if source.class_names == tuple(class_names) or not set(source.class_names) <= set(class_names):
        return source
    numbers = tuple(class_names.index(name) for name in source.class_names)
    splits: Mapping[str, Records] = {name: Renumbered(records, numbers) for name, records in source.splits.items()}
    return dataclasses.replace(source, splits=splits, class_names=tuple(class_names))
