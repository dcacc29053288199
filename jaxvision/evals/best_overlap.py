"""Coverage of objects by proposals: recall, and the mean average best overlap (MABO), by the number of proposals.

Uijlings et al. (2013, section 5). Unlike in `proposal_recall`, one proposal may be the best of several objects.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from jaxvision.evals.detection import iou

THRESHOLDS = (0.5, 0.7)  # IoU from which an object counts as found


class Coverage(NamedTuple):
    """The share of objects that the first n proposals of each image cover, for every n of `counts`."""

    counts: tuple[int, ...]
    recall: Float[np.ndarray, "T N"]  # share of all objects with a proposal of that IoU, for each of THRESHOLDS
    mabo: Float[np.ndarray, "N"]  # an object's best IoU, averaged over a class, and then over classes


def best_overlaps(
    proposals: Float[np.ndarray, "P 4"], objects: Float[np.ndarray, "G 4"], counts: Sequence[int]
) -> Float[np.ndarray, "N G"]:
    """Return the best IoU of each object of an image with its first n proposals.

    Args:
        proposals: boxes (x0, y0, x1, y1), the most likely first.
        objects: boxes of the image's objects.
        counts: the values of n.

    Returns:
        For every n and every object its best IoU; 0 without proposals.
    """
    overlaps = np.concatenate([np.zeros((1, len(objects))), iou(proposals, objects)])
    best = np.maximum.accumulate(overlaps, axis=0)
    return best[np.minimum(counts, len(proposals))]


def coverage(
    overlaps: Sequence[Float[np.ndarray, "N _"]], labels: Sequence[Integer[np.ndarray, "_"]], counts: Sequence[int]
) -> Coverage:
    """Return recall and MABO over all images.

    Args:
        overlaps: `best_overlaps` of each image, all for the same `counts`.
        labels: classes of each image's objects.
        counts: the values of n.

    Returns:
        Recall and MABO for every n.

    Raises:
        ValueError: no image has an object.
    """
    best, label = np.concatenate(overlaps, axis=1), np.concatenate(labels)
    if not label.size:
        raise ValueError(f"coverage: none of the {len(labels)} images has an object; check --data")
    recall = [(best >= threshold).mean(axis=1) for threshold in THRESHOLDS]
    by_class = [best[:, label == one].mean(axis=1) for one in np.unique(label)]
    return Coverage(tuple(counts), np.stack(recall), np.mean(by_class, axis=0))
