"""Accuracy of a segmentation by how far a pixel is from the next object."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int, Integer
from scipy import ndimage

from jaxvision.train.types import Metric, Result

REACHES = (1, 2, 4, 8, 16)  # pixels: upper ends of the bins, of which another one begins at the last


def accuracy_by_distance(*, ignore: int = 255, reaches: Sequence[int] = REACHES) -> Metric:
    """Measure the share of right pixels among those that are equally far from a pixel with another label.

    Outputs hold "classes" [B, H, W]; a batch holds "label_map" [B, H, W] and "_mask" [B]. The keys are
    "accuracy_to_<n>px", of pixels up to n pixels away and farther than the bin before, and "accuracy_farther"; bins
    without a pixel are left out.

    Args:
        ignore: the label of pixels that do not count, and that are near to nothing.
        reaches: upper ends of the bins, in pixels.

    Returns:
        The metric, whose state is int64 [bins, 2]: right pixels and all.
    """

    def update(state: Int[np.ndarray, "N 2"], outputs: Mapping, batch: Mapping) -> Int[np.ndarray, "N 2"]:
        rows = np.asarray(batch["_mask"], bool)
        predicted, labels = np.asarray(outputs["classes"])[rows], np.asarray(batch["label_map"])[rows]
        for found, label_map in zip(predicted, labels, strict=True):
            counted = label_map != ignore
            bins = np.searchsorted(reaches, distances(label_map, ignore)[counted])
            right = found[counted] == label_map[counted]
            both = [np.bincount(bins, weights, minlength=len(state)) for weights in (right, None)]
            state = state + np.stack(both, axis=1).astype(np.int64)
        return state

    def result(state: Int[np.ndarray, "N 2"]) -> Result:
        names = [*(f"accuracy_to_{reach}px" for reach in reaches), "accuracy_farther"]
        return {name: float(right / all_) for name, (right, all_) in zip(names, state, strict=True) if all_}

    return Metric(lambda: np.zeros((len(reaches) + 1, 2), np.int64), update, result)


def distances(label_map: Integer[np.ndarray, "H W"], ignore: int = 255) -> Float[np.ndarray, "H W"]:
    """Return each pixel's distance to the next pixel with another label; infinity where there is none."""
    found = np.full(label_map.shape, np.inf)
    labels = np.unique(label_map[label_map != ignore])
    for label in labels if len(labels) > 1 else ():
        own = label_map == label
        found[own] = ndimage.distance_transform_edt(own | (label_map == ignore))[own]
    return found
