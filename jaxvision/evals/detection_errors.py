"""Wrong detections and missed objects, with the cause of each (after Hoiem et al. 2012, section 2)."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float, UInt8

from jaxvision.evals.detection import Claims, ImageRecord, claims, iou, read, scale_of
from jaxvision.train.types import Metric, Result
from jaxvision.viz import detection_errors
from jaxvision.viz.detection_errors import DetectionError, cut, order

_NEAR = 0.1  # IoU from which a detection is a misplaced one of the object, not of the background


def worst_errors(
    class_names: Sequence[str],
    *,
    threshold: float = 0.5,
    min_score: float = 0.5,
    each: int = 4,
    name_of: Callable[[int], str] = lambda image_id: f"#{image_id}",
) -> Metric:
    """Collect the false positives with the highest scores and the largest missed objects of each class.

    The batch needs "image" uint8 [B, H, W, 3]. Objects and detections are matched as in `voc_ap`. The state keeps
    images of the worst errors only, and the figures of all.

    Args:
        class_names: names of the classes, background first.
        threshold: the IoU above which a detection matches an object.
        min_score: detections of lower scores are left out.
        each: the number of errors of each kind that are shown for a class.
        name_of: gives the name of an image by its image_id.

    Returns:
        A metric with the key "worst_errors", a picture of all of them.
    """

    def update(state: list[DetectionError], outputs: Mapping, batch: Mapping) -> list[DetectionError]:
        rows = np.flatnonzero(batch["_mask"]).tolist()
        new: list[tuple[DetectionError, _Cut]] = []
        for record, row in zip(read(outputs, batch, len(class_names)), rows, strict=True):
            height, width = np.rint(batch["size"][row]).astype(int).tolist()
            image, scale = np.asarray(batch["image"][row])[:height, :width], scale_of(batch, row)
            for error, *boxes in _errors(record, class_names, threshold, min_score):
                found, true = (None if box is None else box * scale for box in boxes)
                new.append((error, partial(cut, image, found, true)))
        return _with_tiles_of_the_worst(state, new, each)

    def result(state: list[DetectionError]) -> Result:
        return {"worst_errors": detection_errors.worst_errors(state, class_names, each=each, name_of=name_of)}

    return Metric(list, update, result)


_Cut = Callable[[], UInt8[np.ndarray, "T T 3"]]  # gives the tile of an error
_Box = Float[np.ndarray, " 4"] | None
_Error = tuple[DetectionError, _Box, _Box]  # with the detection's box and the object's


def _errors(record: ImageRecord, class_names: Sequence[str], threshold: float, min_score: float) -> list[_Error]:
    clear = record.scores >= min_score
    shown = record._replace(boxes=record.boxes[clear], scores=record.scores[clear], labels=record.labels[clear])
    claim = claims(shown, threshold)
    found = set(claim.objects[claim.first].tolist())
    missed = [o for o in np.flatnonzero(~record.ignore).tolist() if o not in found]
    wrong = _false_positives(shown, claim, class_names, threshold)
    return wrong + [_miss(record, o, class_names, threshold, min_score) for o in missed]


def _false_positives(record: ImageRecord, claim: Claims, class_names: Sequence[str], threshold: float) -> list[_Error]:
    """Describe the detections that match nothing, those of a class together, best score first."""
    errors = []
    for i in np.argsort(record.labels[claim.detections], kind="stable").tolist():
        d, own, matched, first = (int(of[i]) for of in (claim.detections, claim.objects, claim.matched, claim.first))
        label = int(record.labels[d])
        if not (first or (matched and record.ignore[own])):
            overlaps = iou(record.boxes[d][None], record.true_boxes)[0]
            why, o = ("found twice", own) if matched else _cause(record, overlaps, own, class_names, threshold)
            box, true = record.boxes[d], record.true_boxes[o] if o >= 0 else None
            score, overlap = float(record.scores[d]), float(overlaps[o]) if o >= 0 else 0.0
            error = DetectionError(False, label, score, overlap, why, score, record.image_id, None)
            errors.append((error, box, true))
    return errors


def _cause(
    record: ImageRecord, overlaps: Float[np.ndarray, " N"], own: int, class_names: Sequence[str], threshold: float
) -> tuple[str, int]:
    """Why a detection that matches nothing of its class is wrong, and the object concerned or -1."""
    other = int(overlaps.argmax()) if overlaps.size else -1
    if other >= 0 and overlaps[other] > threshold:
        return f"is {class_names[record.true_labels[other]]}", other
    if own >= 0 and overlaps[own] >= _NEAR:
        return "misplaced", own
    return "background", -1


def _miss(record: ImageRecord, o: int, class_names: Sequence[str], threshold: float, min_score: float) -> _Error:
    """Describe an object without a detection, and the detection that comes nearest to it."""
    label, true = int(record.true_labels[o]), record.true_boxes[o]
    overlaps = iou(record.boxes, true[None])[:, 0]
    own, clear = record.labels == label, record.scores >= min_score
    choices = (
        ("taken for {}", ~own & clear & (overlaps > threshold)),
        ("score too low", own & ~clear & (overlaps > threshold)),
        ("misplaced", own & clear & (overlaps >= _NEAR)),
    )
    area = float(record.true_areas[o])
    for why, which in choices:
        if which.any():
            d = int(np.flatnonzero(which)[record.scores[which].argmax()])
            why = why.format(class_names[record.labels[d]])
            error = DetectionError(
                True, label, float(record.scores[d]), float(overlaps[d]), why, area, record.image_id, None
            )
            return error, record.boxes[d], true
    return DetectionError(True, label, 0.0, 0.0, "not found", area, record.image_id, None), None, true


def _with_tiles_of_the_worst(
    state: list[DetectionError], new: list[tuple[DetectionError, _Cut]], each: int
) -> list[DetectionError]:
    """Return all errors, with tiles only of the `each` worst false positives and misses of every class.

    Args:
        state: earlier errors, of which the worst have tiles.
        new: errors whose tiles are not yet cut; only those of the worst are.
        each: most tiles of a class's false positives, and of its misses.
    """
    errors = [*state, *(error for error, _ in new)]
    groups: dict[tuple[int, bool], list[int]] = {}
    for i, error in enumerate(errors):
        if error.tile is not None or i >= len(state):
            groups.setdefault((error.label, error.missed), []).append(i)
    worst = {i for group in groups.values() for i in sorted(group, key=lambda i: order(errors[i]))[:each]}
    old = [e if e.tile is None or i in worst else e._replace(tile=None) for i, e in enumerate(state)]
    fresh = [e._replace(tile=cut()) if i in worst else e for i, (e, cut) in enumerate(new, start=len(state))]
    return old + fresh
