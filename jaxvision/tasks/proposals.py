"""The first stage of two-stage detection: what a region proposal network learns from, and what it hands on."""

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

    positive_iou: float = 0.7  # anchors that overlap an object so much are positives; the best of each object always is
    negative_iou: float = 0.3  # anchors that overlap every object less are negatives
    samples: int = 256  # anchors of an image that are learned from
    positives: int = 128  # at most so many of them are positives
    inside_only: bool = False  # learn nothing from anchors that cross the image's border (Ren et al., section 3.1.3)
    sigma: float = 3.0  # smooth L1 turns linear at 1/sigma²
    train_before_nms: int = 2000  # best anchors a map, before suppression
    train_after_nms: int = 2000  # proposals an image in training
    test_before_nms: int = 1000
    test_after_nms: int = 1000
    nms_iou: float = 0.7  # a proposal goes when it overlaps a better one more
    min_side: float = 0.001  # smallest proposal, in pixels of the original image


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
    """What is there, G slots an image."""

    boxes: Float[Array, "*b G 4"]
    labels: Int[Array, "*b G"]
    real: Bool[Array, "*b G"]  # to be found
    ignored: Bool[Array, "*b G"]  # crowds and difficult objects: neither positives, nor do they make negatives


def objects_of(batch: Batch) -> Objects:
    """The batch's objects. Boxes without area, or with a NaN or infinity, count for nothing."""
    sound = batch["valid"] & box_ops.valid(batch["boxes"])
    boxes = jnp.where(sound[..., None], batch["boxes"], 0)
    return Objects(boxes, batch["labels"], sound & ~batch["ignore"], sound & batch["ignore"])


def proposals_of(levels: Sequence[Level], batch: Batch, config: ProposalConfig, *, train: bool) -> Proposals:
    """The proposals of each image, without a gradient."""
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
    """The proposals that the batch brings, "proposals" [B, R, 4] with "proposal_valid" [B, R], the best first."""
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
    """The losses "objectness" and "rpn_box" on a sample of each image's anchors (Ren et al. 2015, section 3.1.2)."""
    anchors = jnp.concatenate([level.anchors for level in levels])
    logits = jnp.concatenate([level.logits for level in levels], axis=1)
    offsets = jnp.concatenate([level.offsets for level in levels], axis=1)

    def draw(key: PRNGKeyArray, one: Objects, size: Float[Array, "2"]) -> tuple[Sample, Float[Array, "K 4"]]:
        return sample_anchors(key, anchors, one, size, config)

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
    """Anchors of one image to learn from, and the offsets from each to its object."""
    usable = box_ops.inside(anchors, size) if config.inside_only else None
    found = match(
        box_ops.iou(anchors, objects.boxes),
        objects.real,
        low=config.negative_iou,
        high=config.positive_iou,
        best_for_object=True,
        usable=usable,
    )
    label = ignore_covered(found.label, anchors, objects.boxes, objects.ignored)
    drawn = sample(key, label, count=config.samples, max_positives=config.positives)
    own = objects.boxes[found.target[drawn.indices]]
    return drawn, box_ops.encode(own, anchors[drawn.indices])
