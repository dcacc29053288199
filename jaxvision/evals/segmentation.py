"""Metrics of semantic segmentation, from one confusion matrix over the whole data set.

Outputs hold "classes" [B, H, W]; a batch holds "label_map" [B, H, W] and "_mask" bool [B], true for the rows that are
examples and not padding.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Int, Integer

from jaxvision.evals.classification import Draw
from jaxvision.train.types import Metric, Result
from jaxvision.viz.class_bars import ClassBar, class_bars
from jaxvision.viz.confusion import confusion_matrix
from jaxvision.viz.segmentation import class_color

_DRAW = partial(confusion_matrix, unit="pixels")


def confusion(class_names: Sequence[str], *, ignore: int = 255, draw: Draw = _DRAW) -> Metric:
    """Count pairs of labels and predicted classes over all pixels, and measure the figures of `figures` from them.

    The state is int64 [true, predicted]. Keys: those of `figures`, "iou_<class name>", and the pictures
    "confusion_matrix" and "class_iou", a bar for each class.

    Args:
        class_names: names of the classes.
        ignore: the label of pixels that do not count.
        draw: function that draws the matrix.

    Returns:
        The metric.

    Example:
        >>> metric = mean_iou(("sky", "road"))
        >>> outputs = {"classes": np.array([[[0, 1]]])}
        >>> batch = {"label_map": np.array([[[0, 1]]]), "_mask": np.ones(1, bool)}
        >>> metric.result(metric.update(metric.init(), outputs, batch))["mean_iou"]
        1.0
    """
    k = len(class_names)

    def update(state: Int[np.ndarray, "K K"], outputs: Mapping, batch: Mapping) -> Int[np.ndarray, "K K"]:
        mask = np.asarray(batch["_mask"], bool)
        predicted, labels = np.asarray(outputs["classes"])[mask], np.asarray(batch["label_map"])[mask]
        return state + count(labels, predicted, k, ignore)

    def result(state: Int[np.ndarray, "K K"]) -> Result:
        if not state.any():
            raise ValueError("confusion: no pixel of the evaluation data has a label that counts; check --data")
        iou = _ratio(np.diagonal(state), _union(state))
        each = {f"iou_{name}": float(x) for name, x in zip(class_names, iou, strict=True) if not np.isnan(x)}
        rows = [ClassBar(name, class_color(k, class_names), float(iou[k])) for k, name in enumerate(class_names)]
        bars = class_bars(rows, "Intersection over union of the classes")
        return {**figures(state), **each, "confusion_matrix": draw(state, class_names), "class_iou": bars}

    return Metric(lambda: np.zeros((k, k), np.int64), update, result)


def count(
    labels: Integer[np.ndarray, "*b H W"], predicted: Integer[np.ndarray, "*b H W"], classes: int, ignore: int = 255
) -> Int[np.ndarray, "K K"]:
    """Count the pixels of each label (row) that were predicted as each class (column).

    Args:
        labels: the true classes.
        predicted: the predicted classes.
        classes: the number of classes.
        ignore: the label of pixels that do not count.

    Returns:
        Numbers of pixels.

    Raises:
        ValueError: a label that is no class.
    """
    ignored = labels == ignore
    pairs = np.multiply(labels, classes, dtype=np.int64)
    pairs += predicted
    pairs[ignored] = 0  # counted as a pair, and taken off again: cheaper than a copy of all the other pixels
    if not (_within(predicted, classes) and _within(pairs, classes**2)):
        for kind, found in (("label", labels[~ignored]), ("predicted class", predicted[~ignored])):
            wrong = found[(found < 0) | (found >= classes)]
            if wrong.size:
                raise ValueError(
                    f"{kind} {wrong[0]} with {classes} class names; give one for each class of model and data"
                )
    counts = np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
    counts[0, 0] -= ignored.sum()
    return counts


def _within(numbers: Integer[np.ndarray, "*s"], end: int) -> bool:
    return bool(numbers.min(initial=0) >= 0 and numbers.max(initial=0) < end)


def figures(counts: Int[np.ndarray, "K K"]) -> dict[str, float]:
    """Compute pixel accuracy, mean accuracy, mean IoU and frequency-weighted IoU (Long et al. 2015, section 5), 0 to 1.

    Classes that were neither labelled nor predicted have no IoU and are left out of its mean; classes that were not
    labelled are left out of the mean accuracy. "valid_classes" is the number of classes that have an IoU.
    """
    own, true = np.diagonal(counts), counts.sum(axis=1)
    accuracy, iou = _ratio(own, true), _ratio(own, _union(counts))
    return {
        "pixel_accuracy": float(own.sum() / true.sum()),
        "mean_accuracy": float(np.nanmean(accuracy)),
        "mean_iou": float(np.nanmean(iou)),
        "frequency_weighted_iou": float(np.sum(true * np.nan_to_num(iou)) / true.sum()),
        "valid_classes": float(np.sum(~np.isnan(iou))),
    }


def _union(counts: Int[np.ndarray, "K K"]) -> Int[np.ndarray, " K"]:
    return counts.sum(axis=0) + counts.sum(axis=1) - np.diagonal(counts)


def _ratio(part: Int[np.ndarray, " K"], of: Int[np.ndarray, " K"]) -> np.ndarray:
    """Divide; NaN where the divisor is 0."""
    return np.where(of > 0, part / np.maximum(of, 1), np.nan)
