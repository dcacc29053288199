"""Windows of images as records: what a classifier of windows is trained on, and what a detector looks at."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float32, Int, Int32

from jaxvision.data.proposals import propose
from jaxvision.data.records import Record, Records, fetch
from jaxvision.data.transforms import FromFile, Transform

_REMEMBERED = 512  # decoded images: windows of one batch are of many


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """Window i is a box in image `images[i]` of `parent`.

    A record is the image, "boxes" float32 [1, 4], the window, and "labels" int32 [1]: transforms of detection treat it
    as the one object of its image. Of images read lately, the last are remembered.
    """

    parent: Records
    images: Int[np.ndarray, " N"]
    boxes: Float32[np.ndarray, "N 4"]
    labels: Int32[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Record:
        place = slice(index, index + 1)
        return {
            "image": _image(self, int(self.images[index])),
            "boxes": self.boxes[place],
            "labels": self.labels[place],
        }

    def name(self, index: int) -> str:
        """The window's image."""
        return self.parent.name(int(self.images[index]))


@dataclasses.dataclass(frozen=True)
class Proposed:
    """The records of `parent` with "proposals" float32 [P, 4], boxes in pixels of the image, the best first."""

    parent: Records
    proposals: Sequence[Float32[np.ndarray, "P 4"]]

    def __len__(self) -> int:
        return len(self.parent)

    def __getitem__(self, index: int) -> Record:
        return {**self.parent[index], "proposals": self.proposals[index]}

    def encoded(self, index: int) -> Record:
        return {**fetch(self.parent, index, encoded=True), "proposals": self.proposals[index]}

    def name(self, index: int) -> str:
        return self.parent.name(index)


@dataclasses.dataclass(frozen=True)
class Searched:
    """The records of `parent` with "proposals" found when they are read, by `proposals.propose` with these arguments."""

    parent: Records
    strategy: str
    seed: int
    most: int

    def __len__(self) -> int:
        return len(self.parent)

    def __getitem__(self, index: int) -> Record:
        record = self.parent[index]
        return {**record, "proposals": propose(record["image"], self.strategy, self.seed, self.most)}

    def name(self, index: int) -> str:
        return self.parent.name(index)


def with_proposals(transform: Transform, most: int) -> Transform:
    """A transform of detection (`canvas`) that takes "proposals" along.

    They become float32 [most, 4] in pixels of the canvas, and "proposal_valid" bool [most] marks those that are real.
    """
    kind = FromFile if isinstance(transform, FromFile) else functools.partial
    return kind(_with_proposals, transform=transform, most=most)


def _with_proposals(record: Record, rng: np.random.Generator, *, transform: Transform, most: int) -> Record:
    boxes = record["proposals"][:most]
    placed = dict(transform({key: value for key, value in record.items() if key != "proposals"}, rng))
    proposals: np.ndarray = np.zeros((most, 4), np.float32)
    proposals[: len(boxes)] = boxes * placed["scale"][[1, 0, 1, 0]][None]
    return {**placed, "proposals": proposals, "proposal_valid": np.arange(most) < len(boxes)}


@functools.lru_cache(maxsize=_REMEMBERED)
def _image(windows: Windows, index: int) -> np.ndarray:
    return windows.parent[index]["image"]
