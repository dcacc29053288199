"""A fixed number of detections from class scores and offsets of RoIs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxvision.ops import boxes as box_ops
from jaxvision.ops.nms import nms

_SMALLEST_SIDE = 1e-2  # pixels; torchvision drops smaller detections too


class Detections(NamedTuple):
    """D slots an image, the best first; slots that are not valid are empty."""

    boxes: Float[Array, "B D 4"]  # corners in pixels
    scores: Float[Array, "B D"]  # 0 in empty slots
    labels: Int[Array, "B D"]  # from 1; 0 in empty slots
    valid: Bool[Array, "B D"]  # which slots hold a detection


def detect(
    logits: Float[Array, "B R C"],
    offsets: Float[Array, "B R C 4"],
    rois: Float[Array, "B R 4"],
    valid: Bool[Array, "B R"],
    size: Float[Array, "B 2"],
    *,
    weights: tuple[float, float, float, float],
    score_threshold: float,
    iou_threshold: float,
    count: int,
) -> Detections:
    """Return the best detections of each image over all classes, after suppression within each class.

    A RoI gives one candidate a class, the background (0) excepted, when its softmax score is above `score_threshold`.

    Args:
        logits: of C classes, 0 the background, for each RoI.
        offsets: from each RoI to the object, one box a class.
        rois: corners in pixels.
        valid: which RoIs count.
        size: each image's true `(height, width)` on the canvas; boxes are clipped to it.
        weights: those of `boxes.encode`.
        score_threshold: which scores are candidates.
        iou_threshold: the IoU above which a better box suppresses another one.
        count: the number of detections, at most.

    Returns:
        The detections.
    """
    scores = jax.nn.softmax(logits.astype(jnp.float32), axis=-1)[..., 1:]
    boxes = box_ops.decode(offsets[:, :, 1:], rois[:, :, None, :], weights)
    labels = jnp.broadcast_to(jnp.arange(1, logits.shape[-1])[None, None], scores.shape)
    images = scores.shape[0]
    boxes = box_ops.clip(boxes.reshape(images, -1, 4), size)
    candidate = (valid[..., None] & (scores > score_threshold)).reshape(images, -1)
    scores, labels = scores.reshape(images, -1), labels.reshape(images, -1)
    return best(boxes, scores, labels, candidate, iou_threshold=iou_threshold, count=count)


def best(
    boxes: Float[Array, "B N 4"],
    scores: Float[Array, "B N"],
    labels: Int[Array, "B N"],
    candidate: Bool[Array, "B N"],
    *,
    iou_threshold: float,
    count: int,
) -> Detections:
    """Return the best candidates of each image, after suppression within each class.

    Args:
        boxes: corners in pixels, already clipped.
        scores: the score of each box.
        labels: the class of each box, from 1.
        candidate: which boxes count.
        iou_threshold: the IoU above which a better box suppresses another one.
        count: the number of detections, at most.

    Returns:
        The detections.
    """
    indices, kept = nms(
        boxes,
        scores,
        iou_threshold=iou_threshold,
        max_outputs=count,
        valid=candidate & box_ops.valid(boxes, _SMALLEST_SIDE),
        classes=labels,
    )
    return Detections(
        jnp.where(kept[..., None], jnp.take_along_axis(boxes, indices[..., None], axis=1), 0),
        jnp.where(kept, jnp.take_along_axis(scores, indices, axis=1), 0),
        jnp.where(kept, jnp.take_along_axis(labels, indices, axis=1), 0),
        kept,
    )
