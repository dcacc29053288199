"""One case of data as users bring it: how its files are made, and what becomes of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from PIL import Image

from jaxvision.data.records import Records, Source
from jaxvision.data.sources import Content

Outcome = Literal["read", "refused by name", "skipped and named"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Case(NamedTuple):
    """A folder, and what is found when it is opened."""

    name: str
    spec: str  # --data, with {} for the folder
    needs: Content | None
    write: Callable[[Path], object]  # makes the files
    look: Callable[[Source], Any] = lambda source: len(whole(source))
    found: Any = None  # what `look` returns
    refused: str = ""  # pattern of the error instead
    left_out: str = ""  # pattern of the one line about what was left out
    said: str = ""  # pattern of the log

    @property
    def outcome(self) -> Outcome:
        """What becomes of the data."""
        if self.refused:
            return "refused by name"
        return "skipped and named" if self.left_out else "read"


def whole(source: Source) -> Records:
    """All records of a set without splits, or those that are trained on."""
    return next(source.splits[name] for name in ("all", "train", "test") if name in source.splits)


def sizes(source: Source) -> dict[str, int]:
    """The images of each split that the files have."""
    return {name: len(records) for name, records in source.splits.items() if name in ("train", "val", "test")}


def names(source: Source) -> list[str]:
    """The names of the images' files."""
    records = whole(source)
    return [Path(records.name(index)).name for index in range(len(records))]


def boxes(source: Source) -> list[list[list[float]]]:
    """The boxes of each image."""
    records = whole(source)
    return [np.round(records[index]["boxes"].astype(np.float64), 4).tolist() for index in range(len(records))]


def labels(source: Source) -> list[list[int]]:
    """The labels of each image's objects."""
    records = whole(source)
    return [records[index]["labels"].tolist() for index in range(len(records))]


def draw(path: Path, width: int = 40, height: int = 30, level: int = 90) -> Path:
    """Write a plain image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), level, np.uint8)).save(path)
    return path


def text(path: Path, content: str = "") -> Path:
    """Write a text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())
    return path
