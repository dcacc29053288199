"""What R-CNN's stages take a window for, by its overlap with the image's objects. Each stage asks another question.

`R` windows, `N` objects, `C` classes without the background.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32

LEFT_OUT = -1
_COVERED = 0.5  # of a window, by an object to ignore: what is in there is not known


class Objects(NamedTuple):
    """What is on an image; difficult objects and crowds are to be ignored."""

    boxes: Float32[np.ndarray, "N 4"]
    labels: Int32[np.ndarray, " N"]  # from 1
    ignore: Bool[np.ndarray, " N"]


class Overlaps(NamedTuple):
    """Of windows with objects that count, and which windows lie in one that is to be ignored."""

    iou: Float[np.ndarray, "R N"]  # -1 with those to ignore
    doubtful: Bool[np.ndarray, " R"]


def overlaps(iou: Float[np.ndarray, "R N"], windows: Float32[np.ndarray, "R 4"], objects: Objects) -> Overlaps:
    """From the IoU of every window with every object. IoU itself says little of a small window in a large crowd."""
    areas, own = _areas(objects.boxes), _areas(windows)
    shared = iou / (1 + iou) * (own[:, None] + areas[None])
    covered = shared >= _COVERED * np.maximum(own, 1e-6)[:, None]
    return Overlaps(np.where(objects.ignore[None], -1.0, iou), (covered & objects.ignore[None]).any(axis=1))


def labels(found: Overlaps, objects: Objects, positive_iou: float) -> Int32[np.ndarray, " R"]:
    """For tuning: the label of the object that a window overlaps most, if so much, or 0 for background (section 2.3).

    -1 is neither: what would be background is doubtful.
    """
    nearest = _nearest(found, positive_iou)
    label = np.where(found.doubtful, LEFT_OUT, 0).astype(np.int32)
    label[nearest >= 0] = objects.labels[nearest[nearest >= 0]]
    return label


def negatives(found: Overlaps, objects: Objects, classes: int, below: float) -> Bool[np.ndarray, "R C"]:
    """For the machines: which windows overlap every object of a class less than `below`, and are not doubtful."""
    of_class = objects.labels[:, None] == np.arange(1, classes + 1)[None]
    best = np.where(of_class[None], found.iou[:, :, None], 0.0).max(axis=1, initial=0.0)
    return (best < below) & ~found.doubtful[:, None]


def pairs(found: Overlaps, min_iou: float) -> tuple[Int[np.ndarray, " M"], Int[np.ndarray, " M"]]:
    """For the regressors: the windows that overlap an object so much, and the object that each overlaps most."""
    nearest = _nearest(found, min_iou)
    windows = np.flatnonzero(nearest >= 0)
    return windows, nearest[windows]


def _nearest(found: Overlaps, least: float) -> Int[np.ndarray, " R"]:
    """The object that each window overlaps most; -1 where that is less than `least`, or there is none."""
    if not found.iou.shape[1]:
        return np.full(len(found.iou), -1)
    return np.where(found.iou.max(axis=1) >= least, found.iou.argmax(axis=1), -1)


def _areas(boxes: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, " N"]:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
