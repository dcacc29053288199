"""Detections as files in COCO's formats, which annotation tools and evaluators read."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxvision.evals.coco_ap import encode
from jaxvision.evals.detection import original_size, scale_of
from jaxvision.train.types import Metric, Result
from jaxvision.viz.masks import paste_patch


def image_results(outputs: Mapping[str, Any], batch: Mapping[str, Any], row: int) -> dict[str, Any]:
    """Describe the detections in one image of a batch in COCO's format, in pixels of the original image.

    Args:
        outputs: predictions of a batch, as in `evals.detection`.
        batch: the batch.
        row: the image's row.

    Returns:
        The image's "height" and "width", and its "annotations", highest score first. Each has "category_id" (the
        label), "bbox" (x, y, width, height), "area", "score" and, where the network predicts masks, "segmentation" as
        compressed run lengths.
    """
    scale = scale_of(batch, row)
    height, width = original_size(batch, row)
    found = np.flatnonzero(np.asarray(outputs["valid"][row], bool))
    boxes = np.asarray(outputs["boxes"][row], np.float64)[found] / scale[None]
    annotations: list[dict[str, Any]] = [
        {
            "category_id": int(outputs["labels"][row][index]),
            "bbox": [round(float(v), 2) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])],
            "area": round(float(np.prod(box[2:] - box[:2])), 2),
            "score": round(float(outputs["scores"][row][index]), 5),
            "iscrowd": 0,
        }
        for index, box in zip(found, boxes, strict=True)
    ]
    if "masks" in outputs:
        for annotation, index, box in zip(annotations, found, boxes, strict=True):
            values, top, left = paste_patch(np.asarray(outputs["masks"][row][index]), box, (height, width))
            runs = encode(values >= 0.5, (height, width), top, left)
            annotation |= {
                "segmentation": {**runs, "counts": _text(runs["counts"])},
                "area": int((values >= 0.5).sum()),
            }
    return {"height": height, "width": width, "annotations": annotations}


def results_list(image_ids: Sequence[int | str], category_ids: Sequence[int | str]) -> Metric:
    """Return the metric that collects all detections as COCO's results list, which `loadRes` reads, in "results.json".

    Args:
        image_ids: the set's own id of each image, by the batches' "image_id".
        category_ids: the set's own ids of labels 1, 2, …; detections of a class with the id -1 are left out.

    Returns:
        The metric. Its list is ordered by image.
    """

    def update(state: list[tuple[int, str]], outputs: Any, batch: Any) -> list[tuple[int, str]]:
        rows = np.flatnonzero(batch["_mask"]).tolist()
        images = [int(batch["image_id"][row]) for row in rows]
        return state + [(image, lines(image, outputs, batch, row)) for image, row in zip(images, rows, strict=True)]

    def lines(image: int, outputs: Any, batch: Any, row: int) -> str:
        """Return the entries of an image as text, which takes a tenth of the memory."""
        detections = image_results(outputs, batch, row)["annotations"]
        entries = (
            {"image_id": image_ids[image], **detection, "category_id": category_ids[detection["category_id"] - 1]}
            for detection in detections
        )
        return ",\n".join(json.dumps(entry) for entry in entries if entry["category_id"] != -1)

    def result(state: list[tuple[int, str]]) -> Result:
        return {"results.json": "[" + ",\n".join(text for _, text in sorted(state) if text) + "]\n"}

    return Metric(list, update, result)


def document(class_names: Sequence[str], said: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """COCO's JSON of all images: `said` is `image_results` of each, with the "file" it was read from."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, one in enumerate(said, start=1):
        images.append({"id": number, "file_name": one["file"], "height": one["height"], "width": one["width"]})
        for annotation in one["annotations"]:
            annotations.append({"id": len(annotations) + 1, "image_id": number, **annotation})
    categories = [{"id": label, "name": name} for label, name in enumerate(class_names) if label]
    return {"images": images, "annotations": annotations, "categories": categories}


def _text(counts: bytes | str) -> str:
    return counts.decode() if isinstance(counts, bytes) else counts
