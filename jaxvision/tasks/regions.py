"""The second stage of two-stage detection: the RoIs that its heads learn from, their losses, and its detections."""

import dataclasses
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8, UInt32

from jaxvision.losses.detection import box_head_loss, mask_head_loss, smooth_l1
from jaxvision.ops import boxes as box_ops
from jaxvision.ops import masks as mask_ops
from jaxvision.ops.detections import Detections, detect
from jaxvision.ops.matching import IGNORED, NEGATIVE, ignore_covered, match
from jaxvision.ops.proposals import Proposals
from jaxvision.ops.sampling import sample
from jaxvision.tasks.proposals import Objects

_WEIGHTS = (
    10.0,
    10.0,
    5.0,
    5.0,
)  # of offsets: the inverse of the standard deviations by which Fast R-CNN normalises them


@dataclasses.dataclass(frozen=True)
class RegionConfig:
    """Settings of the second stage. The defaults are those of networks with a pyramid."""

    positive_iou: float = 0.5  # least IoU of a positive RoI with an object
    background_iou: float = 0.0  # least IoU of a background RoI with some object; RoIs below it are left out
    samples: int = 512  # RoIs of an image in the loss
    positives: int = 128  # the most positives among the samples; also the number of mask slots
    sigma: float = 3.0  # of smooth L1, which turns linear at 1/sigma²
    score_threshold: float = 0.05  # least score of a detection
    nms_iou: float = 0.5  # IoU with a better detection of its class above which a detection is suppressed
    detections: int = 100  # detections of an image, at most
    masks: Literal["sigmoid", "softmax"] = "sigmoid"  # each class has a mask of its own, or classes compete for pixels


PYRAMID = RegionConfig()
FAST_RCNN = RegionConfig(background_iou=0.1, samples=64, positives=16, sigma=1.0, nms_iou=0.3)
"""Girshick (2015), section 2.3."""
PY_FASTER_RCNN = RegionConfig(samples=128, positives=32, sigma=1.0, nms_iou=0.3)
"""The released code of Ren et al. (2015)."""


class Regions(NamedTuple):
    """K RoIs of each image that are in the loss, positives first."""

    boxes: Float[Array, "*b K 4"]  # in pixels of the canvas
    objects: Int[Array, "*b K"]  # the slot of the object that each overlaps most
    labels: Int[Array, "*b K"]  # 0 for background
    targets: Float[Array, "*b K 4"]  # offsets to the object
    used: Bool[Array, "*b K"]  # False: an empty slot
    positive: Bool[Array, "*b K"]  # on an object


def sample_regions(keys: UInt32[Array, "B 2"], proposals: Proposals, objects: Objects, config: RegionConfig) -> Regions:
    """Sample RoIs of each image from its proposals and its objects' own boxes, without a gradient.

    Args:
        keys: one for each image, which draw the samples.
        proposals: of each image.
        objects: of each image.
        config: settings of the stage.

    Returns:
        The sample.
    """
    boxes = jnp.concatenate([proposals.boxes, objects.boxes], axis=1)
    valid = jnp.concatenate([proposals.valid, objects.real], axis=1)
    return jax.lax.stop_gradient(jax.vmap(partial(_sample, config=config))(keys, boxes, valid, objects))


def region_losses(
    logits: Float[Array, "B K C"],
    offsets: Float[Array, "B K C 4"],
    regions: Regions,
    config: RegionConfig,
    axis_name: str | None = None,
) -> dict[str, Float[Array, ""]]:
    """Compute the losses of the box head (Girshick 2015, section 2.3).

    Args:
        logits: class scores of each RoI.
        offsets: box offsets for each class.
        regions: the RoIs.
        config: settings of the stage.
        axis_name: axis of the devices that share the batch, if there are several.

    Returns:
        The losses "classifier" and "box".
    """
    penalty = partial(smooth_l1, sigma=config.sigma)
    return box_head_loss(
        logits, offsets, regions.labels, regions.targets, regions.used, penalty=penalty, axis_name=axis_name
    )


def first(regions: Regions, count: int) -> Regions:
    """Keep the first `count` RoIs of each image, where all positives are."""
    return jax.tree.map(lambda leaf: leaf[:, :count], regions)


def mask_losses(
    logits: Float[Array, "B K S S C"],
    crops: UInt8[Array, "B G M M"],
    objects: Objects,
    regions: Regions,
    config: RegionConfig,
    outlined: Bool[Array, "B G"] | None = None,
    axis_name: str | None = None,
) -> dict[str, Float[Array, ""]]:
    """Compute the loss of the mask head (He et al. 2017, section 3).

    Args:
        logits: mask logits of each RoI.
        crops: the objects' masks, cut to their boxes, 0 to 255.
        objects: of each image.
        regions: the RoIs.
        config: settings of the stage.
        outlined: which objects have a mask; RoIs on the others have no mask loss. None: all have one.
        axis_name: axis of the devices that share the batch, if there are several.

    Returns:
        The loss "mask".
    """
    masks = jnp.take_along_axis(crops, regions.objects[:, :, None, None], axis=1).astype(jnp.float32) / 255
    boxes = jnp.take_along_axis(objects.boxes, regions.objects[:, :, None], axis=1)
    targets = mask_ops.resample(masks, boxes, regions.boxes, logits.shape[2])
    positive = regions.positive
    if outlined is not None:
        positive &= jnp.take_along_axis(outlined, regions.objects, axis=1)
    exclusive = config.masks == "softmax"
    return mask_head_loss(logits, regions.labels, targets, positive, exclusive=exclusive, axis_name=axis_name)


def detections_of(
    logits: Float[Array, "B R C"],
    offsets: Float[Array, "B R C 4"],
    proposals: Proposals,
    size: Float[Array, "B 2"],
    config: RegionConfig,
) -> Detections:
    """Select the detections of each image.

    Args:
        logits: class scores of each proposal.
        offsets: box offsets for each class.
        proposals: of each image.
        size: (height, width) of each image in pixels of the canvas.
        config: settings of the stage.

    Returns:
        A fixed number of detections, the best first.
    """
    return detect(
        logits,
        offsets,
        proposals.boxes,
        proposals.valid,
        size,
        weights=_WEIGHTS,
        score_threshold=config.score_threshold,
        iou_threshold=config.nms_iou,
        count=config.detections,
    )


def own_masks(
    logits: Float[Array, "B D S S C"], labels: Int[Array, "B D"], config: RegionConfig
) -> Float[Array, "B D S S"]:
    """Return each detection's mask as probabilities: the channel of its class.

    Args:
        logits: mask logits of each detection.
        labels: the class of each detection.
        config: settings of the stage.
    """
    if config.masks == "softmax":
        logits = jax.nn.log_softmax(logits)
    masks = jnp.take_along_axis(logits, labels[:, :, None, None, None], axis=-1)[..., 0]
    return jnp.exp(masks) if config.masks == "softmax" else jax.nn.sigmoid(masks)


def _sample(
    key: PRNGKeyArray,
    boxes: Float[Array, "R 4"],
    valid: Bool[Array, " R"],
    objects: Objects,
    *,
    config: RegionConfig,
) -> Regions:
    overlap = box_ops.iou(boxes, objects.boxes)
    matches = match(overlap, objects.real, low=config.positive_iou, high=config.positive_iou, usable=valid)
    label = ignore_covered(matches.label, boxes, objects.boxes, objects.ignored)
    if config.background_iou:
        # An image without objects is background all over.
        far = (jnp.where(objects.real[None], overlap, 0).max(axis=-1) < config.background_iou) & objects.real.any()
        label = jnp.where((label == NEGATIVE) & far, IGNORED, label)
    drawn = sample(key, label, count=config.samples, max_positives=config.positives)
    rois, target = boxes[drawn.indices], matches.target[drawn.indices]
    labels = jnp.where(drawn.positive, objects.labels[target], 0)
    offsets = box_ops.encode(objects.boxes[target], rois, _WEIGHTS)
    return Regions(rois, target, labels, offsets, drawn.used, drawn.positive)
