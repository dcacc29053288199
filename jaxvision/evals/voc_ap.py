"""Average precision as PASCAL VOC defines it (Everingham et al. 2010, section 4.2)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxvision.evals.detection import ImageRecord, claims, images, read
from jaxvision.train.types import Metric, Result

Protocol = Literal["voc07_11pt", "voc10_area"]


def voc_ap(
    class_names: Sequence[str],
    protocol: Protocol = "voc07_11pt",
    *,
    threshold: float = 0.5,
    inclusive: bool = False,
) -> Metric:
    """Measure the mean average precision over classes, {"AP50"}, and that of each class, {"AP50_<class>"}.

    A detection belongs to the object of its class that it overlaps most, and matches it if their IoU is greater than
    `threshold`, as in py-faster-rcnn and Detectron2 (the MATLAB devkit takes an equal IoU too). The first by score is a
    true positive, later ones are false positives; difficult objects ("ignore") and what matches them do not count.
    Equal scores keep the order of image_id, then of the outputs. Classes without an object that counts have no AP; if
    all classes lack one, there is no mean either.

    Args:
        class_names: names of the classes; the first is background.
        protocol: "voc07_11pt" is the mean of the highest precision at recalls of 0, 0.1 … 1 and more, in the arithmetic
            of the released evaluator; "voc10_area" the area under the falling envelope of precision.
        threshold: the IoU above which a detection matches; the keys hold it in percent.
        inclusive: boxes hold the devkit's whole pixels, both corners inside, with sides x1 - x0 + 1; by default they
            are
            continuous.

    Returns:
        The metric.

    Example:
        >>> metric, box = voc_ap(("background", "cat")), np.array([[[2.0, 2.0, 9.0, 9.0]]], np.float32)
        >>> objects = {"boxes": box, "labels": np.array([[1]]), "valid": np.array([[True]])}
        >>> batch = {**objects, "ignore": np.array([[False]]), "image_id": np.array([7]), "_mask": np.array([True])}
        >>> batch |= {"size": np.array([[20, 20]]), "scale": np.ones((1, 2))}
        >>> outputs = {**objects, "scores": np.array([[0.9]], np.float32)}
        >>> round(metric.result(metric.update(metric.init(), outputs, batch))["AP50"], 3)
        1.0
    """
    average = {"voc07_11pt": eleven_point_ap, "voc10_area": area_ap}[protocol]
    name = f"AP{round(100 * threshold)}"

    def update(state: list[ImageRecord], outputs: Mapping, batch: Mapping) -> list[ImageRecord]:
        return state + read(outputs, batch, len(class_names))

    def result(state: list[ImageRecord]) -> Result:
        records, found = images("voc_ap", state), {}
        for one in ranked(records, len(class_names), threshold, inclusive=inclusive):
            found[f"{name}_{class_names[one.label]}"] = average(one.hits, one.objects)
        return {name: float(np.mean(list(found.values())))} | found if found else {}

    return Metric(list, update, result)


def eleven_point_ap(hits: Bool[np.ndarray, " D"], objects: int) -> float:
    """Return the mean of the highest precision at recalls of 0, 0.1 … 1 and more, as py-faster-rcnn's `voc_eval`.

    The recalls are the multiples of 0.1 in double precision: three of ten objects, a recall of 0.3, do not reach
    3 × 0.1, which is 0.30000000000000004 there. Published figures have this property, at 0.3, 0.6 and 0.7.

    Args:
        hits: which detections, best score first, are true positives.
        objects: the number of objects.

    Returns:
        The average precision, in 0..1.
    """
    true = np.cumsum(hits)
    precision, recall = true / np.arange(1, len(hits) + 1), true / objects
    at = [precision[recall >= level].max(initial=0.0) for level in np.arange(0.0, 1.1, 0.1)]
    return float(sum(at) / 11.0)


def area_ap(hits: Bool[np.ndarray, " D"], objects: int) -> float:
    """Return the area under the envelope of precision, the best precision at a recall or more; see `eleven_point_ap`.

    Recall rises by 1 / objects at each hit.
    """
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(envelope(precision)[hits].sum() / objects)


def envelope(precision: Float[np.ndarray, " D"]) -> Float[np.ndarray, " D"]:
    """Return for each detection, best score first, the best precision down to it or to a later one."""
    return np.maximum.accumulate(precision[::-1])[::-1]


class Ranked(NamedTuple):
    """The detections of one class over all images, best score first."""

    label: int
    objects: int  # that count
    scores: Float[np.ndarray, " D"]
    hits: Bool[np.ndarray, " D"]  # True for true positives


def ranked(
    records: Sequence[ImageRecord], classes: int, threshold: float, *, inclusive: bool = False
) -> Iterator[Ranked]:
    """Rank the detections of each class that has objects by falling score.

    Args:
        records: detections and objects of each image.
        classes: the number of classes, background included.
        threshold: the IoU above which a detection matches an object.
        inclusive: see `voc_ap`.

    Yields:
        The classes in the order of their labels.
    """
    parts = [_match(record, threshold, inclusive) for record in records]
    labels, scores, hits = (np.concatenate(part) for part in zip(*parts, strict=True))
    objects = np.bincount(np.concatenate([r.true_labels[~r.ignore] for r in records]), minlength=classes)
    order = np.lexsort((-scores, labels))  # stable: equal scores keep the order of the images
    labels, scores, hits = labels[order], scores[order], hits[order]
    for label in (np.flatnonzero(objects[1:]) + 1).tolist():
        first, end = np.searchsorted(labels, [label, label + 1]).tolist()
        yield Ranked(label, int(objects[label]), scores[first:end], hits[first:end])


def _match(
    record: ImageRecord, threshold: float, inclusive: bool
) -> tuple[Int[np.ndarray, " D"], Float[np.ndarray, " D"], Bool[np.ndarray, " D"]]:
    """Return one image's labels and scores and which are true positives, without those of difficult objects."""
    claim = claims(record, threshold, inclusive=inclusive)
    counts = np.ones(len(claim.detections), bool)
    counts[claim.matched] = ~record.ignore[claim.objects[claim.matched]]
    kept = claim.detections[counts]
    return record.labels[kept], record.scores[kept], claim.first[counts]
