"""Detection in one look (Redmon et al. 2016), on a network that returns the parts of `ops.cells.Cells`."""

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
from jaxvision.tasks.proposals import objects_of
from jaxvision.train.steps import descend, init_state, pmean, step_key
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState


@dataclasses.dataclass(frozen=True)
class Reporting:
    """Which boxes of the grid are reported."""

    score_threshold: float = 0.01  # of class-specific confidence; a low one costs no average precision
    nms_iou: float = 0.5  # a detection goes when it overlaps a better one of its class more
    detections: int = 100  # an image, at most


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
    """Learn to find what `batch` says is in its images: see `evals.detection` for the arrays of batch and outputs.

    `coord` and `no_object` weigh terms of the loss (`losses.cells.cells_loss`). Metrics are every term, and the mean
    IoU of objects with their responsible boxes. `predict` returns boxes, scores, labels and valid, and of the grid
    cell_classes [B, S, S, C], cell_confidence [B, S, S, P] and cell_boxes [B, S, S, P, 4] in pixels of the canvas.
    """

    def init(key: Key, batch: Batch) -> TrainState:
        variables = model.init({"params": key, "dropout": key}, normalise(batch["image"], mean, std), train=True)
        return init_state(key, variables, tx.init(variables["params"]))

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        images = normalise(batch["image"], mean, std)
        rngs, mutable = {"dropout": step_key(state, axis_name)}, list(state.model_state)

        def loss_fn(params: PyTree) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
            variables = {"params": params, **state.model_state}
            outputs, model_state = model.apply(variables, images, train=True, rngs=rngs, mutable=mutable)
            cells = cells_of(outputs)
            targets = targets_of(batch, cells.classes.shape[1])
            losses = cells_loss(cells, targets, coord=coord, no_object=no_object)
            metrics = {f"loss_{name}": value for name, value in losses.items()}
            total = sum(losses.values(), jnp.zeros(()))
            return total, (model_state, {**metrics, "iou": mean_iou(cells, targets, axis_name)})

        params, opt_state, loss, (model_state, metrics) = descend(
            loss_fn, state.params, state.opt_state, tx, axis_name=axis_name
        )
        new = TrainState(state.step + 1, params, opt_state, model_state, state.aux, state.key)
        return new, {"loss": loss, **metrics}

    def predict(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        variables = {"params": state.params, **state.model_state}
        outputs: Any = model.apply(variables, normalise(batch["image"], mean, std), train=False)
        return outputs_of(cells_of(outputs), batch, reporting)

    return Task(init, step, predict)


def cells_of(outputs: dict[str, jax.Array]) -> Cells:
    """The grid among a network's outputs."""
    return Cells(outputs["classes"], outputs["confidence"], outputs["boxes"])


def targets_of(batch: Batch, side: int) -> Targets:
    """What a grid of `side` × `side` cells should say of each image."""
    encode = partial(cell_ops.encode, shape=batch["image"].shape[1:3], side=side)
    return jax.vmap(encode)(*objects_of(batch))


def outputs_of(cells: Cells, batch: Batch, reporting: Reporting) -> dict[str, jax.Array]:
    """Detections, and the grid they were taken from."""
    shape = batch["image"].shape[1:3]
    found = cell_ops.detect(
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
    return {**found._asdict(), **grid}


def mean_iou(cells: Cells, targets: Targets, axis_name: str | None = None) -> Float[Array, ""]:
    """Of all objects' responsible boxes with their objects; 0 without objects."""
    own, overlap = responsible(cells, targets)
    total, count = pmean((jnp.where(own, overlap, 0).sum(), own.sum().astype(jnp.float32)), axis_name)
    return total / jnp.maximum(count, 1e-6)
