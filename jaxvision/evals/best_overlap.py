"""How well proposals cover objects, by their number: recall, and the mean average best overlap (MABO).

Uijlings et al. (2013, section 5). Unlike `proposal_recall`, an object's best proposal may be another's best too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from jaxvision.evals.detection import iou

THRESHOLDS = (0.5, 0.7)  # IoU from which an object counts as found


class Coverage(NamedTuple):
    """What the first `counts` proposals of each image cover."""

    counts: tuple[int, ...]
    recall: Float[np.ndarray, "T N"]  # share of all objects found, for each of THRESHOLDS
    mabo: Float[np.ndarray, "N"]  # an object's best IoU, averaged over a class, and then over classes


def best_overlaps(
    proposals: Float[np.ndarray, "P 4"], objects: Float[np.ndarray, "G 4"], counts: Sequence[int]
) -> Float[np.ndarray, "N G"]:
    """The best IoU of each object of an image with its first n proposals, for every n of `counts`; 0 without any."""
    overlaps = np.concatenate([np.zeros((1, len(objects))), iou(proposals, objects)])
    best = np.maximum.accumulate(overlaps, axis=0)
    return best[np.minimum(counts, len(proposals))]


def coverage(
    overlaps: Sequence[Float[np.ndarray, "N _"]], labels: Sequence[Integer[np.ndarray, "_"]], counts: Sequence[int]
) -> Coverage:
    """Of all images: their `best_overlaps` by the same counts, and their objects' classes. ValueError: no objects."""
    best, label = np.concatenate(overlaps, axis=1), np.concatenate(labels)
    if not label.size:
        raise ValueError(f"coverage: none of the {len(labels)} images has an object; check --data")
    recall = [(best >= threshold).mean(axis=1) for threshold in THRESHOLDS]
    by_class = [best[:, label == one].mean(axis=1) for one in np.unique(label)]
    return Coverage(tuple(counts), np.stack(recall), np.mean(by_class, axis=0))
