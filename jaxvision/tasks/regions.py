"""The second stage of two-stage detection: which RoIs its heads learn from, their losses, and its detections."""

import dataclasses
from functools import partial
from typing import NamedTuple

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

_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of the offsets: the inverse of Fast R-CNN's standard deviations


@dataclasses.dataclass(frozen=True)
class RegionConfig:
    """Settings of the second stage. The defaults are those of networks with a pyramid."""

    positive_iou: float = 0.5  # RoIs that overlap an object so much belong to it
    background_iou: float = 0.0  # others are background, but not those that overlap every object less than this
    samples: int = 512  # RoIs of an image that are learned from
    positives: int = 128  # at most so many of them are positives; as many slots has the mask branch
    sigma: float = 3.0  # smooth L1 turns linear at 1/sigma²
    score_threshold: float = 0.05  # of detections
    nms_iou: float = 0.5  # a detection goes when it overlaps a better one of its class more
    detections: int = 100  # an image, at most


PYRAMID = RegionConfig()
FAST_RCNN = RegionConfig(background_iou=0.1, samples=64, positives=16, sigma=1.0, nms_iou=0.3)
"""Girshick (2015), section 2.3."""
PY_FASTER_RCNN = RegionConfig(samples=128, positives=32, sigma=1.0, nms_iou=0.3)
"""The released code of Ren et al. (2015)."""


class Regions(NamedTuple):
    """K RoIs an image to learn from, positives first."""

    boxes: Float[Array, "*b K 4"]
    objects: Int[Array, "*b K"]  # the slot of the object that each overlaps most
    labels: Int[Array, "*b K"]  # 0 for background
    targets: Float[Array, "*b K 4"]  # offsets to the object
    used: Bool[Array, "*b K"]
    positive: Bool[Array, "*b K"]


def sample_regions(keys: UInt32[Array, "B 2"], proposals: Proposals, objects: Objects, config: RegionConfig) -> Regions:
    """RoIs of each image, drawn from its proposals and its objects' own boxes."""
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
    """The losses "classifier" and "box" (Girshick 2015, section 2.3)."""
    penalty = partial(smooth_l1, sigma=config.sigma)
    return box_head_loss(
        logits, offsets, regions.labels, regions.targets, regions.used, penalty=penalty, axis_name=axis_name
    )


def first(regions: Regions, count: int) -> Regions:
    """The first `count` RoIs of each image, where all positives are."""
    return jax.tree.map(lambda leaf: leaf[:, :count], regions)


def mask_losses(
    logits: Float[Array, "B K S S C"],
    crops: UInt8[Array, "B G M M"],
    objects: Objects,
    regions: Regions,
    axis_name: str | None = None,
) -> dict[str, Float[Array, ""]]:
    """The loss "mask"; `crops` are the objects' masks, cut to their boxes, 0 to 255 (He et al. 2017, section 3)."""
    own = jnp.take_along_axis(crops, regions.objects[:, :, None, None], axis=1).astype(jnp.float32) / 255
    boxes = jnp.take_along_axis(objects.boxes, regions.objects[:, :, None], axis=1)
    targets = mask_ops.resample(own, boxes, regions.boxes, logits.shape[2])
    return mask_head_loss(logits, regions.labels, targets, regions.positive, axis_name=axis_name)


def detections_of(
    logits: Float[Array, "B R C"],
    offsets: Float[Array, "B R C 4"],
    proposals: Proposals,
    size: Float[Array, "B 2"],
    config: RegionConfig,
) -> Detections:
    """What is reported of each image."""
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


def own_masks(logits: Float[Array, "B D S S C"], labels: Int[Array, "B D"]) -> Float[Array, "B D S S"]:
    """Each detection's mask, as probabilities: the channel of its class."""
    own = jnp.take_along_axis(logits, labels[:, :, None, None, None], axis=-1)[..., 0]
    return jax.nn.sigmoid(own)


def _sample(
    key: PRNGKeyArray,
    boxes: Float[Array, "R 4"],
    valid: Bool[Array, " R"],
    objects: Objects,
    *,
    config: RegionConfig,
) -> Regions:
    overlap = box_ops.iou(boxes, objects.boxes)
    found = match(overlap, objects.real, low=config.positive_iou, high=config.positive_iou, usable=valid)
    label = ignore_covered(found.label, boxes, objects.boxes, objects.ignored)
    if config.background_iou:
        # Where nothing is, nothing is far from it: an image without objects is background all over.
        far = (jnp.where(objects.real[None], overlap, 0).max(axis=-1) < config.background_iou) & objects.real.any()
        label = jnp.where((label == NEGATIVE) & far, IGNORED, label)
    drawn = sample(key, label, count=config.samples, max_positives=config.positives)
    rois, target = boxes[drawn.indices], found.target[drawn.indices]
    labels = jnp.where(drawn.positive, objects.labels[target], 0)
    offsets = box_ops.encode(objects.boxes[target], rois, _WEIGHTS)
    return Regions(rois, target, labels, offsets, drawn.used, drawn.positive)
