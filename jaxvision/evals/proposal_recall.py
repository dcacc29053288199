"""The recall of proposals (Hosang et al. 2016; COCO's average recall)."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxvision.evals.coco_ap import evaluation
from jaxvision.evals.detection import ImageRecord, images, nothing_counts, read
from jaxvision.train.types import Metric, Result


def proposal_recall(counts: Sequence[int] = (100, 300, 1000)) -> Metric:
    """Measure the recall of the best n proposals of each image, for every n of `counts`, whatever the classes.

    Keys: "proposal_recall50_<n>", the recall at IoU 0.5, and "proposal_AR_<n>", the mean recall over IoU 0.5, 0.55 …
        0.95. Outputs hold "proposals" [B, P, 4] in pixels of the canvas, "proposal_scores" [B, P] and "proposal_valid"
        bool [B, P]. Objects to ignore do not count. Each proposal covers one object at most, best scores first. Where
        no image has an object, recall is undefined and left out.

    Example:
        >>> metric, box = proposal_recall((100,)), np.array([[[2.0, 2.0, 9.0, 9.0]]], np.float32)
        >>> batch = {"boxes": box, "labels": np.array([[1]]), "valid": np.array([[True]])}
        >>> batch |= {"ignore": np.array([[False]]), "image_id": np.array([7])}
        >>> batch |= {"size": np.array([[20, 20]]), "scale": np.ones((1, 2))}
        >>> batch |= {"_mask": np.array([True])}
        >>> outputs = {"proposals": box, "proposal_scores": np.ones((1, 1)), "proposal_valid": np.array([[True]])}
        >>> metric.result(metric.update(metric.init(), outputs, batch))["proposal_recall50_100"]
        1.0
    """

    def update(state: list[ImageRecord], outputs: Mapping, batch: Mapping) -> list[ImageRecord]:
        scores = np.asarray(outputs["proposal_scores"])
        proposals = {
            "boxes": outputs["proposals"],
            "scores": scores,
            "labels": np.ones(scores.shape, np.int32),
            "valid": outputs["proposal_valid"],
        }
        objects = {**batch, "labels": np.ones(np.shape(batch["labels"]), np.int32)}
        return state + [_best(r, max(counts)) for r in read(proposals, objects, classes=2)]

    def result(state: list[ImageRecord]) -> Result:
        ordered, records = sorted(counts), images("proposal_recall", state)
        if nothing_counts(records):
            return {}
        found = evaluation(records, "bbox", by_class=False, counts=ordered)
        recall = found.recall[:, 0, 0, :]  # [T, M]
        at_half = {f"proposal_recall50_{n}": float(r) for n, r in zip(ordered, recall[0], strict=True)}
        average = {f"proposal_AR_{n}": float(r) for n, r in zip(ordered, recall.mean(axis=0), strict=True)}
        return at_half | average

    return Metric(list, update, result)


def _best(record: ImageRecord, count: int) -> ImageRecord:
    """Leave out the proposals beyond the largest count."""
    best = np.argsort(-record.scores, kind="stable")[:count]
    return record._replace(boxes=record.boxes[best], scores=record.scores[best], labels=record.labels[best])
