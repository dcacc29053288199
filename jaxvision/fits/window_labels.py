"""Labels of windows for each stage of R-CNN, from their overlaps with the objects of the image.

`R` is the number of windows, `N` of objects, `C` of classes without the background.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32

LEFT_OUT = -1  # label of windows that fine-tuning leaves out
_COVERED = 0.5  # fraction of a window covered by an ignored object from which the window is doubtful


class ImageObjects(NamedTuple):
    """The objects of an image."""

    boxes: Float32[np.ndarray, "N 4"]  # corners x0, y0, x1, y1 in pixels
    labels: Int32[np.ndarray, " N"]  # classes, from 1
    ignore: Bool[np.ndarray, " N"]  # difficult objects and crowds


class Overlaps(NamedTuple):
    """The overlaps of an image's windows with its objects."""

    iou: Float[np.ndarray, "R N"]  # IoU; -1 with ignored objects
    doubtful: Bool[np.ndarray, " R"]  # windows that lie in an ignored object


def overlaps(iou: Float[np.ndarray, "R N"], windows: Float32[np.ndarray, "R 4"], objects: ImageObjects) -> Overlaps:
    """Compute overlaps from IoU; a small window in a large crowd is doubtful although its IoU is small.

    Args:
        iou: IoU of each window with each object.
        windows: the windows' boxes.
        objects: the objects.

    Returns:
        The overlaps.
    """
    object_areas, window_areas = _areas(objects.boxes), _areas(windows)
    shared = iou / (1 + iou) * (window_areas[:, None] + object_areas[None])
    covered = shared >= _COVERED * np.maximum(window_areas, 1e-6)[:, None]
    return Overlaps(np.where(objects.ignore[None], -1.0, iou), (covered & objects.ignore[None]).any(axis=1))


def labels(overlap: Overlaps, objects: ImageObjects, positive_iou: float) -> Int32[np.ndarray, " R"]:
    """Return the labels of fine-tuning (section 2.3): the class of the object that a window overlaps most.

    Args:
        overlap: the overlaps.
        objects: the objects.
        positive_iou: least IoU with an object; windows with less are background.

    Returns:
        Classes, 0 for background, and `LEFT_OUT` for doubtful windows that would be background.
    """
    nearest = _nearest(overlap, positive_iou)
    label = np.where(overlap.doubtful, LEFT_OUT, 0).astype(np.int32)
    label[nearest >= 0] = objects.labels[nearest[nearest >= 0]]
    return label


def negatives(overlap: Overlaps, objects: ImageObjects, classes: int, below: float) -> Bool[np.ndarray, "R C"]:
    """Return the negatives of each class's SVM: windows that are not doubtful and overlap no object of the class.

    Args:
        overlap: the overlaps.
        objects: the objects.
        classes: C.
        below: negatives have a lower IoU with each object of the class.

    Returns:
        Whether a window is a negative of a class.
    """
    of_class = objects.labels[:, None] == np.arange(1, classes + 1)[None]
    best = np.where(of_class[None], overlap.iou[:, :, None], 0.0).max(axis=1, initial=0.0)
    return (best < below) & ~overlap.doubtful[:, None]


def pairs(overlap: Overlaps, min_iou: float) -> tuple[Int[np.ndarray, " M"], Int[np.ndarray, " M"]]:
    """Return the windows with this IoU with an object, and the object that each of them overlaps most."""
    nearest = _nearest(overlap, min_iou)
    windows = np.flatnonzero(nearest >= 0)
    return windows, nearest[windows]


def _nearest(overlap: Overlaps, least: float) -> Int[np.ndarray, " R"]:
    """Return the object that each window overlaps most; -1 where its IoU is less than `least` or there is none."""
    if not overlap.iou.shape[1]:
        return np.full(len(overlap.iou), -1)
    return np.where(overlap.iou.max(axis=1) >= least, overlap.iou.argmax(axis=1), -1)


def _areas(boxes: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, " N"]:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
