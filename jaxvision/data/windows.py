"""Windows of images as records, to train a classifier of windows on."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float32, Int, Int32

from jaxvision.data.records import Record, Records

_REMEMBERED = 512  # decoded images, since the windows of a batch are from many


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """Records of windows: "image" (the whole image), "boxes" float32 [1, 4] (the window) and "labels" int32 [1].

    Transforms of detection so treat a window as the only object of its image. The images read last stay in memory.
    """

    parent: Records
    images: Int[np.ndarray, " N"]  # position in `parent` of each window's image
    boxes: Float32[np.ndarray, "N 4"]  # (x0, y0, x1, y1) in pixels
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
        """Return the name of the window's image."""
        return self.parent.name(int(self.images[index]))


@functools.lru_cache(maxsize=_REMEMBERED)
def _image(windows: Windows, index: int) -> np.ndarray:
    return windows.parent[index]["image"]
