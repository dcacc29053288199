"""Detection by one network in one pass (Redmon et al. 2016), on a grid of cells (`ops.cells.Cells`).

Batches hold "image" (uint8 RGB [B, H, W, 3], normalised here) and objects: see `evals.detection` for the arrays of
batches and of outputs.
"""

import dataclasses
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxvision.losses.cells import cells_loss, responsible
from jaxvision.ops import cells as cell_ops
from jaxvision.ops.cells import Cells, Targets
from jaxvision.ops.images import Color, normalise
from jaxvision.tasks import one_network
from jaxvision.tasks.proposals import objects_of
from jaxvision.train.steps import pmean, step_key
from jaxvision.train.types import Batch, Key, Metrics, Task, TrainState


@dataclasses.dataclass(frozen=True)
class Reporting:
    """Settings that choose which boxes of the grid are detections."""

    score_threshold: float = (
        0.01  # least class-specific confidence of a detection; a low one costs no average precision
    )
    nms_iou: float = 0.5  # IoU with a better detection of its class above which a detection is suppressed
    detections: int = 100  # at most, for an image


def yolo(
    model: nn.Module,
    tx: optax.GradientTransformationExtraArgs,
    *,
    mean: Color,
    std: Color,
    coord: float = 5.0,
    no_object: float = 0.5,
    reporting: Reporting = Reporting(),  # noqa: B008
) -> Task:
    """Make the task of finding objects.

    Args:
        model: (images, *, train) -> {"classes", "confidence", "boxes", …}, the parts of `ops.cells.Cells`.
        tx: the optimizer.
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.
        coord: λ_coord, the factor of the boxes' losses (equation 3).
        no_object: λ_noobj, the factor of the confidence of boxes without an object.
        reporting: which boxes are detections.

    Returns:
        The task. A step descends half of the loss, as darknet does: its step is the error itself and not twice the
        error, and its learning rates are meant for that. Metrics are "loss", equation 3 as printed, each of its terms
        as "loss_<term>", and "iou", the mean IoU of objects with their responsible boxes. `predict` returns "boxes",
        "scores", "labels" and "valid", and of the grid "cell_classes" [B, S, S, C], "cell_confidence" [B, S, S, P] and
        "cell_boxes" [B, S, S, P, 4] in pixels of the canvas.
    """

    def init(key: Key, batch: Batch) -> TrainState:
        return one_network.start(model, tx, key, normalise(batch["image"], mean, std))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        def loss_and_terms(outputs: Any) -> tuple[jax.Array, Metrics]:
            cells = cells_of(outputs)
            targets = targets_of(batch, cells.classes.shape[1])
            losses = cells_loss(cells, targets, coord=coord, no_object=no_object)
            terms = {f"loss_{name}": value for name, value in losses.items()}
            loss = sum(losses.values(), jnp.zeros(()))
            return loss / 2, {**terms, "loss": loss, "iou": mean_iou(cells, targets, axis_name)}

        images, key = normalise(batch["image"], mean, std), step_key(state, axis_name)
        return one_network.train(model, tx, state, images, loss_and_terms, dropout_key=key, axis_name=axis_name)

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        outputs = one_network.evaluate(model, state, normalise(batch["image"], mean, std))
        return outputs_of(cells_of(outputs), batch, reporting)

    return Task(init, step, predict)


def cells_of(outputs: dict[str, jax.Array]) -> Cells:
    """Take the grid out of a network's outputs."""
    return Cells(outputs["classes"], outputs["confidence"], outputs["boxes"])


def targets_of(batch: Batch, side: int) -> Targets:
    """Encode the objects of each image as targets of a grid of `side` × `side` cells."""
    encode = partial(cell_ops.encode, shape=batch["image"].shape[1:3], side=side)
    return jax.vmap(encode)(*objects_of(batch))


def outputs_of(cells: Cells, batch: Batch, reporting: Reporting) -> dict[str, jax.Array]:
    """Decode the grid into detections.

    Args:
        cells: the grid of each image.
        batch: with "image", whose canvas boxes are in, and "size" [B, 2], what of it the image covers.
        reporting: which boxes are detections.

    Returns:
        The outputs of `yolo`'s `predict`.
    """
    shape = batch["image"].shape[1:3]
    detections = cell_ops.detect(
        cells,
        shape,
        batch["size"],
        score_threshold=reporting.score_threshold,
        iou_threshold=reporting.nms_iou,
        count=reporting.detections,
    )
    grid = {
        "cell_classes": cells.classes,
        "cell_confidence": cells.confidence,
        "cell_boxes": cell_ops.decode(cells.boxes, shape),
    }
    return {**detections._asdict(), **grid}


def mean_iou(cells: Cells, targets: Targets, axis_name: str | None = None) -> Float[Array, ""]:
    """Compute the mean IoU of objects with their responsible boxes.

    Args:
        cells: the grid of each image.
        targets: the objects of each cell.
        axis_name: axis of the devices that share the batch, if there are several.

    Returns:
        The mean over all objects of the global batch; 0 without objects.
    """
    chosen, overlap = responsible(cells, targets)
    total, count = pmean((jnp.where(chosen, overlap, 0).sum(), chosen.sum().astype(jnp.float32)), axis_name)
    return total / jnp.maximum(count, 1e-6)
