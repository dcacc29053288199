"""The first stage of two-stage detection: samples and losses of a region proposal network, and its proposals."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt32

from jaxvision.losses.detection import rpn_loss
from jaxvision.ops import boxes as box_ops
from jaxvision.ops.matching import ignore_covered, match
from jaxvision.ops.proposals import Level, Proposals, propose
from jaxvision.ops.sampling import Sample, sample
from jaxvision.train.types import Batch


@dataclasses.dataclass(frozen=True)
class ProposalConfig:
    """Settings of the first stage. The defaults are those of networks with a pyramid."""

    positive_iou: float = (
        0.7  # least IoU of a positive anchor with an object; the best anchor of an object always is positive
    )
    negative_iou: float = 0.3  # anchors whose IoU with every object is less are negatives
    samples: int = 256  # anchors of an image in the loss
    positives: int = 128  # the most positives among the samples
    inside_only: bool = False  # leave out anchors that cross the image's border (Ren et al. 2015, section 3.1.3)
    sigma: float = 3.0  # of smooth L1, which turns linear at 1/sigma²
    train_before_nms: int = 2000  # anchors of a map that suppression starts from in training, the best ones
    train_after_nms: int = 2000  # proposals of an image in training, at most
    test_before_nms: int = 1000  # anchors of a map that suppression starts from in evaluation, the best ones
    test_after_nms: int = 1000  # proposals of an image in evaluation, at most
    nms_iou: float = 0.7  # IoU with a better proposal above which a proposal is suppressed
    min_side: float = 0.001  # least width and height of a proposal, in pixels of the original image


PYRAMID = ProposalConfig()
PY_FASTER_RCNN = ProposalConfig(
    inside_only=True,
    train_before_nms=12_000,
    test_before_nms=6000,
    test_after_nms=300,
    min_side=16.0,
)
"""The released code of Ren et al. (2015), for a single map."""


class Objects(NamedTuple):
    """The objects of images, in G slots each."""

    boxes: Float[Array, "*b G 4"]  # in pixels of the canvas
    labels: Int[Array, "*b G"]  # classes, from 1
    real: Bool[Array, "*b G"]  # slots with an object that is to be detected
    ignored: Bool[Array, "*b G"]  # crowds and difficult objects: anchors on them are neither positive nor negative


def objects_of(batch: Batch) -> Objects:
    """Take the objects out of a batch, without boxes that have no area, a NaN or an infinity."""
    sound = batch["valid"] & box_ops.valid(batch["boxes"])
    boxes = jnp.where(sound[..., None], batch["boxes"], 0)
    return Objects(boxes, batch["labels"], sound & ~batch["ignore"], sound & batch["ignore"])


def proposals_of(levels: Sequence[Level], batch: Batch, config: ProposalConfig, *, train: bool) -> Proposals:
    """Select the proposals of each image, without a gradient.

    Args:
        levels: objectness, offsets and anchors of each map.
        batch: with "size" [B, 2], (height, width) of each image on the canvas, and "scale", its scale.
        config: settings of the stage.
        train: use the counts for training.

    Returns:
        Fixed numbers of proposals, the best first.
    """
    scale = batch["scale"].reshape(batch["size"].shape[0], -1).min(axis=1)  # of height and width, or one of both
    return propose(
        levels,
        batch["size"],
        before_nms=config.train_before_nms if train else config.test_before_nms,
        after_nms=config.train_after_nms if train else config.test_after_nms,
        iou_threshold=config.nms_iou,
        min_side=config.min_side * scale,
    )


def searched(batch: Batch) -> Proposals:
    """Take the proposals out of a batch: "proposals" [B, R, 4] with "proposal_valid" [B, R], the best first."""
    boxes, valid = batch["proposals"], batch["proposal_valid"]
    rank = jnp.broadcast_to(jnp.linspace(1.0, 0.0, boxes.shape[1], endpoint=False)[None], valid.shape)
    return Proposals(boxes, jnp.where(valid, rank, 0), valid)


def proposal_losses(
    keys: UInt32[Array, "B 2"],
    levels: Sequence[Level],
    objects: Objects,
    size: Float[Array, "B 2"],
    config: ProposalConfig,
    axis_name: str | None = None,
) -> dict[str, Float[Array, ""]]:
    """Compute the losses of the RPN on a sample of each image's anchors (Ren et al. 2015, section 3.1.2).

    Args:
        keys: one for each image, which draw the samples.
        levels: objectness, offsets and anchors of each map.
        objects: of each image.
        size: (height, width) of each image in pixels of the canvas.
        config: settings of the stage.
        axis_name: axis of the devices that share the batch, if there are several.

    Returns:
        The losses "objectness" and "rpn_box".
    """
    anchors = jnp.concatenate([level.anchors for level in levels])
    logits = jnp.concatenate([level.logits for level in levels], axis=1)
    offsets = jnp.concatenate([level.offsets for level in levels], axis=1)

    def draw(key: PRNGKeyArray, image_objects: Objects, size: Float[Array, "2"]) -> tuple[Sample, Float[Array, "K 4"]]:
        return sample_anchors(key, anchors, image_objects, size, config)

    drawn, targets = jax.vmap(draw)(keys, objects, size)
    return rpn_loss(
        jnp.take_along_axis(logits, drawn.indices, axis=1),
        jnp.take_along_axis(offsets, drawn.indices[..., None], axis=1),
        targets,
        drawn.used,
        drawn.positive,
        sigma=config.sigma,
        axis_name=axis_name,
    )


def sample_anchors(
    key: PRNGKeyArray, anchors: Float[Array, "A 4"], objects: Objects, size: Float[Array, "2"], config: ProposalConfig
) -> tuple[Sample, Float[Array, "K 4"]]:
    """Sample the anchors of one image that are in the loss.

    Args:
        key: draws the sample.
        anchors: of all maps.
        objects: of the image.
        size: (height, width) of the image in pixels of the canvas.
        config: settings of the stage.

    Returns:
        The sample, and the offsets from each of its anchors to the anchor's object.
    """
    usable = box_ops.inside(anchors, size) if config.inside_only else None
    matches = match(
        box_ops.iou(anchors, objects.boxes),
        objects.real,
        low=config.negative_iou,
        high=config.positive_iou,
        best_for_object=True,
        usable=usable,
    )
    label = ignore_covered(matches.label, anchors, objects.boxes, objects.ignored)
    drawn = sample(key, label, count=config.samples, max_positives=config.positives)
    targets = objects.boxes[matches.target[drawn.indices]]
    return drawn, box_ops.encode(targets, anchors[drawn.indices])
