"""Curves of precision, recall and F1, the best score to cut at for each class, and a confusion matrix of detectors."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from jaxvision.evals.detection import ImageRecord, images, iou, nothing_counts, read
from jaxvision.evals.voc_ap import area_ap, envelope, ranked
from jaxvision.train.types import Metric, Result
from jaxvision.viz.boxes import color_of
from jaxvision.viz.class_bars import ClassBar, class_bars
from jaxvision.viz.confusion import confusion_matrix
from jaxvision.viz.key import with_key
from jaxvision.viz.lines import Line, unit_square
from jaxvision.viz.text import INK

_SAMPLES = 101  # recalls and scores at which the mean over the classes is drawn
_NAMED = 12  # classes in the key of the curves
_MATRIX = 60  # classes beyond which a confusion matrix of detectors is not drawn


class ClassCurve(NamedTuple):
    """The detections of one class, best score first, and how good they are down to each score."""

    label: int
    objects: int  # that count
    scores: Float[np.ndarray, " D"]
    precision: Float[np.ndarray, " D"]
    recall: Float[np.ndarray, " D"]
    ap: float  # area under the envelope of precision

    @property
    def f1(self) -> Float[np.ndarray, " D"]:
        """The harmonic mean of precision and recall."""
        return 2 * self.precision * self.recall / np.maximum(self.precision + self.recall, 1e-12)

    @property
    def best(self) -> int | None:
        """The position of the highest F1; None where nothing was detected."""
        return int(self.f1.argmax()) if len(self.scores) else None

    def at_best(self) -> dict[str, float]:
        """Return least score, F1, precision and recall at the highest F1; nothing where nothing was detected."""
        if (best := self.best) is None:
            return {}
        figures = {"least_score": self.scores, "f1": self.f1, "precision": self.precision, "recall": self.recall}
        return {name: float(values[best]) for name, values in figures.items()}


def detection_curves(class_names: Sequence[str], threshold: float = 0.5) -> Metric:
    """Draw how precision, recall and F1 depend on the least score, and which classes are taken for which.

    Detections and objects are matched as in `voc_ap`. Keys: "precision_recall", the curves; "per_class", average
    precision and the best least score of each class; "confusion_matrix", of the detections with at least the best score
    of their class, with a row of detections of background and a column of missed objects; "per_class.json", the same
    figures as numbers. There is none of them where no object counts.

    Args:
        class_names: names of the classes, background first.
        threshold: the IoU above which a detection matches an object.

    Returns:
        The metric.
    """

    def update(state: list[ImageRecord], outputs: Mapping, batch: Mapping) -> list[ImageRecord]:
        return state + read(outputs, batch, len(class_names))

    def result(state: list[ImageRecord]) -> Result:
        records = images("detection_curves", state)
        if nothing_counts(records):
            return {}
        found = class_curves(records, len(class_names), threshold)
        pictures: Result = {
            "precision_recall": draw_curves(found, class_names, threshold),
            "per_class": _bars(found, class_names, threshold),
        }
        if len(class_names) <= _MATRIX:
            counts = confusion(records, found, len(class_names), threshold)
            pictures["confusion_matrix"] = confusion_matrix(counts, class_names, unit="objects and false alarms")
        return {**pictures, "per_class.json": json.dumps(_as_numbers(found, class_names), indent=2)}

    return Metric(list, update, result)


def class_curves(records: Sequence[ImageRecord], classes: int, threshold: float = 0.5) -> list[ClassCurve]:
    """Return the curves of the classes that have objects.

    Args:
        records: detections and objects of each image.
        classes: the number of classes, background included.
        threshold: the IoU above which a detection matches an object.
    """
    curves = []
    for label, objects, scores, hits in ranked(records, classes, threshold):
        true = np.cumsum(hits)
        precision = true / np.arange(1, len(hits) + 1)
        curves.append(ClassCurve(label, objects, scores, precision, true / objects, area_ap(hits, objects)))
    return curves


def confusion(
    records: Sequence[ImageRecord], curves: Sequence[ClassCurve], classes: int, threshold: float = 0.5
) -> Int[np.ndarray, "K K"]:
    """Count for each object the class it was detected as; class 0 stands for nothing.

    Each detection, best score first, takes the free object that it overlaps most, of whatever class.

    Args:
        records: detections and objects of each image.
        curves: of each class; detections below the score with the class's best F1 are left out.
        classes: the number of classes, background included.
        threshold: the IoU above which a detection takes an object.

    Returns:
        Numbers of objects by true class (row) and detected class (column): column 0 counts missed objects, row 0
        detections of background.
    """
    least = np.full(classes, np.inf)
    for curve in curves:
        if curve.best is not None:
            least[curve.label] = curve.scores[curve.best]
    counts = np.zeros((classes, classes), np.int64)
    for r in records:
        chosen = np.flatnonzero(r.scores >= least[r.labels])
        chosen = chosen[np.argsort(-r.scores[chosen], kind="stable")]
        overlaps, free = iou(r.boxes, r.true_boxes), np.ones(len(r.true_boxes), bool)
        for d in chosen.tolist():
            open_ones = np.where(free, overlaps[d], 0.0) if free.size else np.zeros(0)
            o = int(open_ones.argmax()) if open_ones.size else -1
            if o >= 0 and open_ones[o] > threshold:
                free[o] = bool(r.ignore[o])  # a crowd takes any number
                counts[r.true_labels[o], r.labels[d]] += not r.ignore[o]
            else:
                counts[0, r.labels[d]] += 1
        for o in np.flatnonzero(free & ~r.ignore).tolist():
            counts[r.true_labels[o], 0] += 1
    return counts


def draw_curves(
    curves: Sequence[ClassCurve], class_names: Sequence[str], threshold: float = 0.5
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw precision over recall and F1 over the least score, thin for each class and thick for their mean.

    Args:
        curves: of each class that has objects.
        class_names: names of the classes, background first.
        threshold: the IoU of the curves, for the title.
    """
    at = np.linspace(0, 1, _SAMPLES)
    over_recall, over_score = [], []
    means: list[list[np.ndarray]] = [[], []]
    for curve in curves:
        color, best = color_of(curve.label), curve.best
        falling, dot = envelope(curve.precision), None
        reached = f1 = np.zeros_like(at)
        if best is not None:
            reached = np.interp(at, np.r_[0, curve.recall], np.r_[falling[:1], falling], right=0)
            f1 = np.interp(at, curve.scores[::-1], curve.f1[::-1], right=0)
            dot = float(curve.scores[best]), float(curve.f1[best])
        over_recall.append(Line(curve.recall, falling, color, 1))
        over_score.append(Line(at, f1, color, 1, dot))
        means[0].append(reached)
        means[1].append(f1)
    if len(curves) > 1:
        over_recall.append(Line(at, np.mean(means[0], axis=0), INK, 3))
        over_score.append(Line(at, np.mean(means[1], axis=0), INK, 3))
    left = unit_square(over_recall, f"Precision and recall, IoU {threshold:g}", "recall", "precision")
    right = unit_square(over_score, "F1 by the least score", "least score", "F1")
    shown = [(color_of(c.label), f"{class_names[c.label]} {c.ap:.3f}") for c in curves[:_NAMED]]
    more = [(INK, f"and {len(curves) - _NAMED} more classes")] if len(curves) > _NAMED else []
    return with_key(np.concatenate([left, right], axis=1), [(INK, "average precision:"), *shown, *more])


def _bars(curves: Sequence[ClassCurve], class_names: Sequence[str], threshold: float) -> UInt8[np.ndarray, "H W 3"]:
    rows = []
    for curve in curves:
        figures = [f"{value:.3f}" for value in curve.at_best().values()] or ["–"] * 4
        rows.append(ClassBar(class_names[curve.label], color_of(curve.label), curve.ap, (str(curve.objects), *figures)))
    title = f"Average precision at IoU {threshold:g}, and the least score with the best F1"
    return class_bars(rows, title, ("objects", "least score", "F1", "precision", "recall"))


def _as_numbers(curves: Sequence[ClassCurve], class_names: Sequence[str]) -> dict[str, dict[str, float | int]]:
    figures = {}
    for curve in curves:
        own = {"ap50": curve.ap, **curve.at_best()}
        figures[class_names[curve.label]] = {
            "objects": curve.objects,
            **{name: round(value, 5) for name, value in own.items()},
        }
    return figures
