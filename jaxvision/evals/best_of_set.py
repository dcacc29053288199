"""A limit on how many windows of a whole set become detections, in front of a metric of detections."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxvision.evals.detection import ImageRecord
from jaxvision.train.types import Metric, Result


class Seen(NamedTuple):
    """What the metric behind the limit has accumulated, and the scores that the limit is worked out from."""

    inner: Any
    scores: list[Float[np.ndarray, "B N C"]]


def best_of_set(metric: Metric, an_image: int) -> Metric:
    """Leave out the detections of windows that are not among the best of their class in the whole set.

    It is the second limit of R-CNN's released test (Girshick et al. 2014, `rcnn_test.m`): of each class as many windows
    as `an_image` times the images, chosen before suppression. Suppression never lets a window go because of one of a
    lower score, so that the detections may be cut behind it, at the same score.

    Args:
        metric: its state is a list of `ImageRecord`, as that of `voc_ap` and `coco_ap`.
        an_image: windows of a class, for each image of the set.

    Returns:
        The metric of what is left. Outputs also hold "ranked" [B, N, C], the scores of the windows of each class but
        the background, -inf for those that are none.
    """

    def update(state: Seen, outputs: Mapping, batch: Mapping) -> Seen:
        scores = np.asarray(outputs["ranked"])[np.asarray(batch["_mask"], bool)]
        return Seen(metric.update(state.inner, outputs, batch), [*state.scores, scores])

    def result(state: Seen) -> Result:
        if not state.scores:
            return metric.result(state.inner)
        least = least_scores(np.concatenate(state.scores), an_image)
        return metric.result([_above(record, least) for record in state.inner])

    def merge(one: Seen, other: Seen) -> Seen:
        return Seen(metric.merge(one.inner, other.inner), one.scores + other.scores)

    return Metric(lambda: Seen(metric.init(), []), update, result, merge)


def least_scores(scores: Float[np.ndarray, "B N C"], an_image: int) -> Float[np.ndarray, " C"]:
    """Return for each class the score of the last window that is kept, -inf where all are."""
    images, _, classes = scores.shape
    kept = an_image * images
    falling = -np.sort(-scores.transpose(2, 0, 1).reshape(classes, -1), axis=1)
    return falling[:, kept - 1] if 0 < kept <= falling.shape[1] else np.full(classes, -np.inf, scores.dtype)


def _above(record: ImageRecord, least: Float[np.ndarray, " C"]) -> ImageRecord:
    kept = record.scores >= least.astype(np.float64)[record.labels - 1]
    return record._replace(boxes=record.boxes[kept], scores=record.scores[kept], labels=record.labels[kept])
