"""Windows of images as records: what a classifier of windows is trained on, and what a detector looks at."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float32, Int, Int32

from jaxvision.data.records import Record, Records

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


@functools.lru_cache(maxsize=_REMEMBERED)
def _image(windows: Windows, index: int) -> np.ndarray:
    return windows.parent[index]["image"]
