"""The loss of YOLO's grid of cells (Redmon et al. 2016, section 2.2)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxvision.ops import boxes as box_ops
from jaxvision.ops.cells import Cells, Targets, decode


def cells_loss(
    cells: Cells, targets: Targets, *, coord: float = 5.0, no_object: float = 0.5
) -> dict[str, Float[Array, ""]]:
    """Return equation 3 term by term: sums of squares over an image's cells, averaged over the images of the batch.

    The sides of boxes are compared by their roots. The confidence of a responsible box (see `responsible`) should be
    its IoU with the object, that of every other box 0.

    Args:
        cells: the network's output.
        targets: what each cell should give; the confidence of ignored cells without an object does not count.
        coord: the weight of "center" and "size", the paper's λ_coord.
        no_object: the weight of "no_object", the paper's λ_noobj.

    Returns:
        Scalars by name, to be summed: "center" and "size" of responsible boxes, "object" of their confidence,
        "no_object" of the confidence of all other boxes, "class" of the cells that hold an object.
    """
    chosen, overlap = responsible(cells, targets)
    aim = jnp.where(chosen, overlap, 0)
    errors = jnp.where(chosen[..., None], cells.boxes.astype(jnp.float32) - targets.boxes[..., None, :], 0) ** 2
    confidence = (cells.confidence.astype(jnp.float32) - aim) ** 2
    truth = jax.nn.one_hot(targets.labels - 1, cells.classes.shape[-1])
    classes = jnp.where(targets.occupied[..., None], cells.classes.astype(jnp.float32) - truth, 0) ** 2
    images = cells.classes.shape[0]
    return {
        "center": coord * errors[..., :2].sum() / images,
        "size": coord * errors[..., 2:].sum() / images,
        "object": jnp.where(chosen, confidence, 0).sum() / images,
        "no_object": no_object * jnp.where(chosen | targets.ignored[..., None], 0, confidence).sum() / images,
        "class": classes.sum() / images,
    }


def responsible(cells: Cells, targets: Targets) -> tuple[Bool[Array, "*b S S P"], Float[Array, "*b S S P"]]:
    """Return which box of each cell answers for its object, and every box's IoU with that object, without gradients.

    It is the box of highest IoU. Where all boxes miss the object, it is the nearest by the distance of centres and
    sides, as in darknet. Of equals it is the first.
    """
    boxes = jax.lax.stop_gradient(cells.boxes)
    predicted = decode(boxes, (1.0, 1.0))
    true = decode(targets.boxes[..., None, :], (1.0, 1.0))
    overlap = box_ops.iou(predicted, true)[..., 0]
    distance = ((_center_form(predicted) - _center_form(true)) ** 2).sum(axis=-1)
    missed = (overlap <= 0).all(axis=-1, keepdims=True)
    rank = jnp.where(missed, -distance, overlap)
    first = jax.nn.one_hot(rank.argmax(axis=-1), boxes.shape[-2], dtype=bool)
    return first & targets.occupied[..., None], overlap


def _center_form(boxes: Float[Array, "*b 4"]) -> Float[Array, "*b 4"]:
    low, high = boxes[..., :2], boxes[..., 2:]
    return jnp.concatenate([(low + high) / 2, high - low], axis=-1)
