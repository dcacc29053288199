"""Average precision as COCO defines it (Lin et al. 2014; cocodataset.org/#detection-eval), by faster-coco-eval."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from faster_coco_eval import COCO
from faster_coco_eval.core import mask as run_lengths
from faster_coco_eval.core.faster_eval_api import COCOeval_faster
from jaxtyping import Bool, Float, Int, Shaped

from jaxvision.evals.coco_classes import coco_classes
from jaxvision.evals.detection import ImageRecord, images, nothing_counts, read
from jaxvision.train.types import Metric, Result
from jaxvision.viz.masks import paste_patch

Kind = Literal["bbox", "segm"]

_COUNTED = 100  # detections of an image that COCO counts, the best ones
_NO_OUTLINE: list[list[float]] = []  # one for all boxes, of which the evaluator would else make a polygon each


def coco_ap(class_names: Sequence[str], *, masks: bool = False, per_class: bool = False) -> Metric:
    """Measure COCO's average precision of boxes, and with `masks` that of masks too.

    Keys are "AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large" and "AR_100", and with `masks` the same behind
    "mask_". One that is undefined, such as AP_small without small objects, is left out.

    AP counts the best 100 detections of an image, as COCO does, or as many as the network gives if these are more; then
    there is also "AR_<n>", the recall of all n, beside AR_100.

    All is measured in pixels of the original image. Objects to ignore are COCO's crowds. Masks ("masks" [B, D, M, M]
    and [B, N, M, M], crops of their boxes, 0 to 1 or uint8 0 to 255) are pasted there and cut at 0.5. An object's size
    is the batch's "area" where that is known (COCO's is the area of the segmentation, for boxes too), else that of its
    mask or, without masks, of its box. An object without a mask, false in the batch's "outlined" [B, N], counts for
    boxes; for masks its box is ignored as a crowd is.

    Args:
        class_names: names of the classes, background first.
        masks: compare masks too.
        per_class: add pictures and numbers of each class, see `coco_classes`.

    Returns:
        The metric.

    Example:
        >>> metric, box = coco_ap(("background", "cat")), np.array([[[2.0, 2.0, 9.0, 9.0]]], np.float32)
        >>> objects = {"boxes": box, "labels": np.array([[1]]), "valid": np.array([[True]])}
        >>> batch = {**objects, "ignore": np.array([[False]]), "image_id": np.array([7]), "_mask": np.array([True])}
        >>> batch |= {"size": np.array([[20, 20]]), "scale": np.ones((1, 2))}
        >>> outputs = {**objects, "scores": np.array([[0.9]], np.float32)}
        >>> metric.result(metric.update(metric.init(), outputs, batch))["AP"]
        1.0
    """

    def update(state: list[ImageRecord], outputs: Mapping, batch: Mapping) -> list[ImageRecord]:
        records = read(outputs, batch, len(class_names))
        if masks:
            rows = np.flatnonzero(batch["_mask"])
            records = [_with_masks(r, outputs, batch, int(row)) for r, row in zip(records, rows, strict=True)]
        return state + records

    def result(state: list[ImageRecord]) -> Result:
        records = images("coco_ap", state)
        if nothing_counts(records):
            return {}
        most = max(_COUNTED, *(record.capacity for record in records))
        counts = (1, 10, _COUNTED) if most == _COUNTED else (1, 10, _COUNTED, most)
        kinds: dict[str, Kind] = {"": "bbox", "mask_": "segm"} if masks else {"": "bbox"}
        parts = {prefix: evaluation(records, kind, counts=counts) for prefix, kind in kinds.items()}
        found: Result = {f"{prefix}{key}": v for prefix, part in parts.items() for key, v in _summary(part).items()}
        if per_class:
            objects = _objects(records)
            for prefix, part in parts.items():
                found |= coco_classes(part.precision, list(objects), list(objects.values()), class_names, prefix)
        return found

    return Metric(list, update, result)


class Evaluation(NamedTuple):
    """Precision and recall at IoU thresholds T (0.5, 0.55 … 0.95), of classes K and sizes A; -1 is undefined."""

    precision: Float[np.ndarray, "T R K A M"]  # at the recalls R (0, 0.01 … 1)
    recall: Float[np.ndarray, "T K A M"]
    counts: tuple[int, ...]  # M numbers of detections an image


def evaluation(
    records: Sequence[ImageRecord],
    kind: Kind,
    *,
    by_class: bool = True,
    counts: Sequence[int] = (1, 10, _COUNTED),
) -> Evaluation:
    """Run COCO's evaluation, one class after the other, so that memory is that of the most frequent one.

    Args:
        records: detections and objects of each image.
        kind: compare boxes ("bbox") or masks ("segm").
        by_class: match detections only with objects of their class.
        counts: the numbers of detections an image that recall is measured at.

    Returns:
        The figures of the classes that have objects. The sizes are all, small, medium and large.
    """
    parts = _by_class(records) if by_class else {None: records}
    found = [_evaluated(part, kind, label, sorted(counts)) for label, part in parts.items()]
    precision, recall = (np.concatenate(each, axis=-3) for each in zip(*found, strict=True))
    return Evaluation(precision, recall, tuple(sorted(counts)))


def _by_class(records: Sequence[ImageRecord]) -> dict[int | None, list[ImageRecord]]:
    """Return for each class with objects the images that have an object or a detection of it, in their order."""
    found: dict[int | None, list[ImageRecord]] = {}
    for record in records:
        for label in np.union1d(record.true_labels, record.labels).tolist():
            found.setdefault(label, []).append(record)
    known = {int(label) for record in records for label in record.true_labels}
    return {label: found[label] for label in sorted(known)}


def _objects(records: Sequence[ImageRecord]) -> dict[int, int]:
    """Count the objects that are not ignored, for each class that has any objects, in the order of `_by_class`."""
    counts = dict.fromkeys(sorted({int(label) for r in records for label in r.true_labels}), 0)
    for r in records:
        for label in r.true_labels[~r.ignore].tolist():
            counts[label] += 1
    return counts


def _evaluated(
    records: Sequence[ImageRecord], kind: Kind, label: int | None, counts: list[int]
) -> tuple[Float[np.ndarray, "T R K A M"], Float[np.ndarray, "T K A M"]]:
    """Return precision and recall of one class, or with None of all objects as one class."""
    truth = COCO(_annotations(records, kind, label))
    evaluator = COCOeval_faster(truth, truth.loadRes(_detections(records, kind, label)), kind)
    evaluator.params.useCats = int(label is not None)
    evaluator.params.maxDets = counts
    evaluator.evaluate()
    evaluator.accumulate()
    return np.asarray(evaluator.eval["precision"]), np.asarray(evaluator.eval["recall"])


def _summary(found: Evaluation) -> dict[str, float]:
    precision, recall = found.precision, found.recall
    values = {"AP": precision[..., 0, -1], "AP50": precision[0, ..., 0, -1], "AP75": precision[5, ..., 0, -1]}
    values |= {f"AP_{size}": precision[..., i, -1] for i, size in enumerate(("small", "medium", "large"), start=1)}
    values |= {f"AR_{n}": recall[..., 0, i] for i, n in enumerate(found.counts) if n >= _COUNTED}
    return {key: float(v[v > -1].mean()) for key, v in values.items() if np.any(v > -1)}


def _annotations(records: Sequence[ImageRecord], kind: Kind, label: int | None) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for r in records:
        for i in _rows(r.true_labels, label):
            what: dict[str, Any] = {"bbox": _xywh(r.true_boxes[i])}
            ignored = bool(r.ignore[i])
            if kind == "segm":
                assert r.true_masks is not None and r.outlined is not None
                what["segmentation"] = r.true_masks[i]
                ignored |= not r.outlined[i]
            of = {"id": len(annotations) + 1, "image_id": r.image_id, "category_id": label or 1}
            annotations.append({**of, **what, "area": float(r.true_areas[i]), "iscrowd": int(ignored)})
    pictures = [{"id": r.image_id, "height": r.shape[0], "width": r.shape[1]} for r in records]
    return {"images": pictures, "annotations": annotations, "categories": [{"id": label or 1}]}


def _detections(records: Sequence[ImageRecord], kind: Kind, label: int | None) -> list[dict[str, Any]]:
    found = []
    for r in records:
        for i in _rows(r.labels, label):
            what: dict[str, Any] = {"bbox": _xywh(r.boxes[i]), "segmentation": _NO_OUTLINE}
            if kind == "segm":  # without the box, so that the detection's area is its mask's
                assert r.masks is not None
                what = {"segmentation": dict(r.masks[i])}
            of = {"image_id": r.image_id, "category_id": label or 1, "score": float(r.scores[i])}
            found.append({**of, **what})
    return found


def _rows(labels: Int[np.ndarray, " N"], label: int | None) -> list[int]:
    """Return the places of a label; all of them with None."""
    return (np.arange(len(labels)) if label is None else np.flatnonzero(labels == label)).tolist()


def _xywh(box: Float[np.ndarray, " 4"]) -> list[float]:
    x0, y0, x1, y1 = box.tolist()
    return [x0, y0, x1 - x0, y1 - y0]


def encode(mask: Bool[np.ndarray, "h w"], shape: tuple[int, int], top: int = 0, left: int = 0) -> dict[str, Any]:
    """Encode a mask in COCO's compressed run lengths.

    Args:
        mask: the pixels of a part of an image.
        shape: height and width of the image, which is empty outside that part.
        top: row of the part's first pixel in the image.
        left: column of the part's first pixel in the image.

    Returns:
        {"size": [H, W], "counts": bytes}.
    """
    columns = np.zeros((mask.shape[1], shape[0]), bool)  # pixels count down the columns; those beside are left out
    columns[:, top : top + mask.shape[0]] = mask.T
    pixels = np.concatenate([[False], columns.reshape(-1), [False]])
    edges = left * shape[0] + np.flatnonzero(pixels[1:] != pixels[:-1])
    total = shape[0] * shape[1]
    counts = np.diff(np.concatenate([[0], edges[edges < total], [total]]))
    return dict(run_lengths.frPyObjects({"size": list(shape), "counts": counts.tolist()}, *shape))


def _with_masks(record: ImageRecord, outputs: Mapping, batch: Mapping, row: int) -> ImageRecord:
    found, true = (np.asarray(of["masks"][row])[np.asarray(of["valid"][row], bool)] for of in (outputs, batch))
    real = np.asarray(batch["valid"][row], bool)
    outlined = np.asarray(batch["outlined"][row], bool)[real] if "outlined" in batch else np.ones(len(true), bool)
    whole = np.full_like(true, 255 if true.dtype == np.uint8 else 1)  # the box, in which detections do not count
    masks = _paste(found, record.boxes, record.shape)
    true_masks = _paste(np.where(outlined[:, None, None], true, whole), record.true_boxes, record.shape)
    record = record._replace(masks=masks, true_masks=true_masks, outlined=outlined)
    areas = np.array([run_lengths.area(m) for m in true_masks], np.float64)
    stated = "area" in batch and np.isfinite(np.asarray(batch["area"][row], np.float64)[real])
    return record._replace(true_areas=np.where(stated, record.true_areas, areas))


def _paste(
    crops: Shaped[np.ndarray, "N M M"], boxes: Float[np.ndarray, "N 4"], shape: tuple[int, int]
) -> tuple[Mapping[str, Any], ...]:
    patches = (paste_patch(crop, box, shape) for crop, box in zip(crops, boxes, strict=True))
    return tuple(encode(values >= 0.5, shape, top, left) for values, top, left in patches)
