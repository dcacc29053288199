"""How well R-CNN's proposals cover the objects of a split, as metrics and as a picture."""

import numpy as np
from jaxtyping import UInt8

from jaxvision.evals import best_overlap
from jaxvision.recipes.rcnn_windows import WindowSplit
from jaxvision.train.types import Result
from jaxvision.viz import detection as viz


def coverage(split: WindowSplit) -> Result:
    """Return recall at IoU 0.5 and 0.7, and the mean over classes of an object's best overlap (MABO).

    Without objects these are undefined, and left out.
    """
    counted = [(o.boxes[~o.ignore], o.labels[~o.ignore]) for o in split.objects]
    proposed = [windows[split.object_count(i) :] for i, windows in enumerate(split.windows)]
    best = [
        best_overlap.best_overlaps(boxes, objects, (len(boxes),))
        for boxes, (objects, _) in zip(proposed, counted, strict=True)
    ]
    an_image = {"proposals/an_image": float(np.mean([len(boxes) for boxes in proposed]))}
    if not any(len(labels) for _, labels in counted):
        return dict(an_image)  # without objects recall is undefined
    covered = best_overlap.coverage(best, [labels for _, labels in counted], (0,))
    recall = zip(best_overlap.THRESHOLDS, covered.recall[:, 0].tolist(), strict=True)
    return {
        **an_image,
        "proposals/mabo": float(covered.mabo[0]),
        **{f"proposals/recall{round(100 * threshold)}": share for threshold, share in recall},
    }


def draw_proposals(split: WindowSplit) -> UInt8[np.ndarray, "H W 3"]:
    """Draw the proposals of the first image that has some; the better one covers an object, the brighter it is."""
    index = next(i for i, windows in enumerate(split.windows) if len(windows) > split.object_count(i))
    boxes = split.windows[index][split.object_count(index) :]
    overlap = split.overlaps(index).iou[split.object_count(index) :].max(axis=1, initial=0.0)
    return viz.proposals(split.records[index]["image"], boxes, overlap.astype(np.float32))
