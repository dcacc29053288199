"""Six images with objects and proposals at known places, as a split of R-CNN."""

import numpy as np

from jaxvision.recipes.rcnn_windows import Split

IMAGES, CLASSES = 6, 2


class Images:
    """Two objects each, of both classes; the last of image 0 is difficult, and image 3 cannot be read."""

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> dict:
        if index == 3:
            raise ValueError("torn")
        boxes = np.array([[2, 2, 22, 22], [40, 30, 70, 60]], np.float32) + index
        return {
            "image": np.full((90, 90, 3), index, np.uint8),
            "boxes": boxes,
            "labels": np.array([1, 2], np.int32),
            "difficult": np.array([False, index == 0]),
        }

    def name(self, index: int) -> str:
        return f"image {index}"


class Torn(Images):
    """Image 3 has an annotation, and pixels that cannot be read."""

    def encoded(self, index: int) -> dict:
        return {**self[index and 1], "image": None}


def proposed() -> list[np.ndarray]:
    """Around each object three boxes off by little, and two boxes that are near nothing; none where nothing is read."""
    near = [[3, 2, 23, 22], [0, 2, 20, 23], [2, 4, 24, 24], [41, 30, 71, 61], [38, 30, 66, 60], [40, 33, 70, 66]]
    boxes = np.array([*near, [70, 2, 85, 12], [2, 60, 12, 85]], np.float32)
    return [boxes + i if i != 3 else boxes[:0] for i in range(IMAGES)]


def split() -> Split:
    return Split(Images(), proposed)
