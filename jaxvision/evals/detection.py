"""Detections and objects of each image, from which every detection metric is computed.

Outputs hold "boxes" [B, D, 4] in pixels of the canvas, "scores" [B, D], "labels" int [B, D] (0 is background) and
"valid" bool [B, D]. A batch holds "boxes" [B, N, 4], "labels", "valid", "ignore" (difficult or crowd), "image_id" [B],
"size" [B, 2] (height and width of the image on its canvas), "scale" [B, 2] or [B] (by which the original image's height
and width were multiplied) and "_mask" [B], true for images that are not padding. It may hold "area" [B, N],
the objects' areas as annotated, in square pixels of the original image, NaN where the annotations do not state it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class ImageRecord(NamedTuple):
    """The detections and objects of one image, in pixels of the original image. Padding is gone."""

    image_id: int
    shape: tuple[int, int]  # height, width
    boxes: Float[np.ndarray, "D 4"]
    scores: Float[np.ndarray, " D"]
    labels: Int[np.ndarray, " D"]
    true_boxes: Float[np.ndarray, "N 4"]
    true_labels: Int[np.ndarray, " N"]
    ignore: Bool[np.ndarray, " N"]
    true_areas: Float[np.ndarray, " N"]  # square pixels; of the masks or annotations where the data has them
    capacity: int  # the most detections an image that the network gives
    masks: Sequence[Mapping[str, Any]] | None = None  # run lengths
    true_masks: Sequence[Mapping[str, Any]] | None = None
    outlined: Bool[np.ndarray, " N"] | None = None  # objects whose mask is known; the others only have a box


class Claims(NamedTuple):
    """The detections of one image, best score first, and the object of its class that each overlaps most."""

    detections: Int[np.ndarray, " D"]  # rows of the record
    objects: Int[np.ndarray, " D"]  # rows of the record; -1 where the class has no object here
    iou: Float[np.ndarray, " D"]
    matched: Bool[np.ndarray, " D"]  # the IoU is greater than the threshold
    first: Bool[np.ndarray, " D"]  # matched, and no better detection matched that object


def read(outputs: Mapping[str, Any], batch: Mapping[str, Any], classes: int) -> list[ImageRecord]:
    """Return the records of a batch's images, without the rows that pad it.

    Args:
        outputs: predictions of the batch.
        batch: the batch; objects' areas are its "area" [B, N] where that is known, else their boxes'.
        classes: the number of classes, background included.

    Returns:
        A record for each image, in pixels of the original image.

    Raises:
        ValueError: a label outside 1 … classes - 1, or a detection that is not finite.
    """
    mask = np.asarray(batch["_mask"], bool)
    records = [_read_row(outputs, batch, int(row)) for row in np.flatnonzero(mask)]
    for record in records:
        _check(record, classes)
    return records


def scale_of(batch: Mapping[str, Any], row: int) -> Float[np.ndarray, " 4"]:
    """Return the factors of x0, y0, x1, y1 that bring a box of the original image onto the canvas."""
    height, width = np.broadcast_to(np.asarray(batch["scale"][row], np.float64), 2).tolist()
    return np.array([width, height, width, height])


def original_size(batch: Mapping[str, Any], row: int) -> tuple[int, int]:
    """Return the height and width of an image before it was put on its canvas."""
    height, width = np.rint(np.asarray(batch["size"][row]) / scale_of(batch, row)[1::-1]).astype(int).tolist()
    return height, width


def nothing_counts(records: Sequence[ImageRecord]) -> bool:
    """Return whether no image has an object that counts, so that precision and recall are undefined."""
    return all(r.ignore.all() for r in records)


def images(metric: str, records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """Return the records in order of image_id, so that ties do not depend on which process had which image.

    ValueError: no images, or an image that came twice.
    """
    if not records:
        raise ValueError(f"{metric}: the evaluation data has no images; check --data and its validation split")
    ids, counts = np.unique([r.image_id for r in records], return_counts=True)
    if counts.max() > 1:
        raise ValueError(
            f"{metric}: image_id {ids[counts.argmax()]} came {counts.max()} times; give each image its own, and "
            "false in _mask to the rows that pad a batch"
        )
    return sorted(records, key=lambda r: r.image_id)


def iou(
    boxes: Float[np.ndarray, "D 4"], others: Float[np.ndarray, "N 4"], *, inclusive: bool = False
) -> Float[np.ndarray, "D N"]:
    """Compute the intersection over union of every pair of boxes.

    Args:
        boxes: corners (x0, y0, x1, y1).
        others: corners of the boxes that they are compared with.
        inclusive: corners are whole pixels that both belong to the box, so that a side is x1 - x0 + 1.

    Returns:
        IoU in float64; 0 where the union is empty.
    """
    one = 1.0 if inclusive else 0.0
    boxes, others = boxes.astype(np.float64)[:, None], others.astype(np.float64)[None]
    shared = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(boxes[..., :2], others[..., :2]) + one
    intersection = _product(np.maximum(shared, 0.0))
    areas = [_product(np.maximum(b[..., 2:] - b[..., :2] + one, 0.0)) for b in (boxes, others)]
    union = areas[0] + areas[1] - intersection
    return np.where(union > 0.0, intersection / np.where(union > 0.0, union, 1.0), 0.0)


def _product(sides: Float[np.ndarray, "*s 2"]) -> Float[np.ndarray, "*s"]:
    """Multiply width by height; np.prod over an axis of two takes several times as long."""
    return sides[..., 0] * sides[..., 1]


def claims(record: ImageRecord, threshold: float, *, inclusive: bool = False) -> Claims:
    """Assign each detection to the object of its class that it overlaps most.

    Args:
        record: detections and objects of one image.
        threshold: the IoU above which a detection matches its object.
        inclusive: as in `iou`.

    Returns:
        The detections by falling score, with their objects. Equal scores keep their order; of equally overlapped
        objects the first is taken.
    """
    found = np.argsort(-record.scores, kind="stable")
    if not (found.size and record.true_labels.size):
        none = np.zeros(len(found), bool)
        return Claims(found, np.full(len(found), -1), np.zeros(len(found)), none, none)
    same = record.labels[found][:, None] == record.true_labels[None]
    overlaps = np.where(same, iou(record.boxes[found], record.true_boxes, inclusive=inclusive), -1.0)
    best, own = overlaps.max(axis=1), same.any(axis=1)
    objects = np.where(own, overlaps.argmax(axis=1), -1)
    matched = own & (best > threshold)
    first = np.zeros(len(found), bool)
    rows = np.flatnonzero(matched)
    first[rows[np.unique(objects[rows], return_index=True)[1]]] = True
    return Claims(found, objects, np.maximum(best, 0.0), matched, first)


def _read_row(outputs: Mapping[str, Any], batch: Mapping[str, Any], row: int) -> ImageRecord:
    scale = scale_of(batch, row)
    real = np.asarray(batch["valid"][row], bool)
    true_boxes = np.asarray(batch["boxes"][row], np.float64)[real] / scale[None]
    true_areas = np.prod(true_boxes[:, 2:] - true_boxes[:, :2], axis=1)
    if "area" in batch:
        stated = np.asarray(batch["area"][row], np.float64)[real]
        true_areas = np.where(np.isnan(stated), true_areas, stated)
    found = np.asarray(outputs["valid"][row], bool)
    return ImageRecord(
        image_id=int(np.asarray(batch["image_id"])[row]),
        shape=original_size(batch, row),
        boxes=np.asarray(outputs["boxes"][row], np.float64)[found] / scale[None],
        scores=np.asarray(outputs["scores"][row], np.float64)[found],
        labels=np.asarray(outputs["labels"][row], np.int64)[found],
        true_boxes=true_boxes,
        true_labels=np.asarray(batch["labels"][row], np.int64)[real],
        ignore=np.asarray(batch["ignore"][row], bool)[real],
        true_areas=true_areas,
        capacity=len(found),
    )


def _check(record: ImageRecord, classes: int) -> None:
    if not (np.isfinite(record.boxes).all() and np.isfinite(record.scores).all()):
        raise ValueError(
            f"image_id {record.image_id}: a detection's box or score is not finite; lower the learning rate"
        )
    for kind, labels in (("object", record.true_labels), ("detection", record.labels)):
        wrong = labels[(labels < 1) | (labels >= classes)]
        if wrong.size:
            raise ValueError(
                f"image_id {record.image_id}: {kind} of label {wrong[0]}, but labels go from 1 to {classes - 1}; give "
                "class_names one name for each class, background first"
            )
