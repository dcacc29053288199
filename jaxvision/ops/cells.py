"""YOLO's grid of cells, each of which names the object whose centre it holds (Redmon et al. 2016, section 2).

S×S cells lie over the whole canvas. A box is `x, y` of its centre, from 0 to 1 across its cell, and `√w, √h` of its
sides as fractions of the canvas. The network gives exactly these (section 2.2), so that no root is ever taken of a
prediction; darknet squares the sides before it compares boxes.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxvision.ops import boxes as box_ops
from jaxvision.ops.detections import Detections, best


class Cells(NamedTuple):
    """A network's output for each cell, with P boxes and C classes, the background not among them."""

    classes: Float[Array, "*b S S C"]  # probability of each class, given that there is an object
    confidence: Float[Array, "*b S S P"]  # probability that the box holds an object, times their IoU
    boxes: Float[Array, "*b S S P 4"]  # x, y, √w, √h


class Targets(NamedTuple):
    """The true output for each cell."""

    occupied: Bool[Array, "*b S S"]  # holds the centre of an object
    ignored: Bool[Array, "*b S S"]  # does not count: under a crowd, or at the centre of a difficult object
    labels: Int[Array, "*b S S"]  # from 1; 0 where there is no object
    boxes: Float[Array, "*b S S 4"]  # x, y, √w, √h; 0 where there is no object


def encode(
    boxes: Float[Array, "N 4"],
    labels: Int[Array, " N"],
    real: Bool[Array, " N"],
    ignored: Bool[Array, " N"],
    *,
    shape: tuple[int, int],
    side: int,
) -> Targets:
    """Return the targets of one image.

    Of objects whose centres share a cell the first one is kept, as in darknet, which draws their order anew each time
    it reads an image.

    Args:
        boxes: corners in pixels of the canvas; they are clipped to it first.
        labels: the class of each box, from 1.
        real: which boxes are objects.
        ignored: which boxes are crowds or difficult objects. Such a box silences the cell of its centre and every cell
            of which it covers at least half, except where a real object has its centre.
        shape: height and width of the canvas, in pixels.
        side: S, the cells along each axis.

    Returns:
        The targets.
    """
    boxes = box_ops.clip(boxes, jnp.array(shape, jnp.float32))
    inside = box_ops.valid(boxes)
    height, width = shape
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2 * side / jnp.array([[width, height]], jnp.float32)
    sides = (boxes[:, 2:] - boxes[:, :2]) / jnp.array([[width, height]], jnp.float32)
    places = jnp.clip(jnp.floor(centers), 0, side - 1)
    cell_of = (places[:, 1] * side + places[:, 0]).astype(jnp.int32)
    slots = _first(cell_of, real & inside, side).reshape(side, side)
    occupied = slots < len(boxes)
    slots = jnp.minimum(slots, len(boxes) - 1)
    roots = jnp.sqrt(jnp.maximum(sides, 0))
    encoded = jnp.concatenate([centers - places, roots], axis=1)[slots]
    silent = _covered(boxes, ignored & inside, shape, side) | _held(cell_of, ignored & inside, side)
    return Targets(
        occupied,
        silent & ~occupied,
        jnp.where(occupied, labels[slots], 0),
        jnp.where(occupied[..., None], encoded, 0),
    )


def decode(
    boxes: Float[Array, "*b S S P 4"], shape: tuple[int, int] | tuple[float, float]
) -> Float[Array, "*b S S P 4"]:
    """Return corners in pixels of a canvas of `shape` (height, width); with shape (1, 1), in fractions of it."""
    side = boxes.shape[-3]
    boxes = boxes.astype(jnp.float32)
    lead = (1,) * (boxes.ndim - 4)
    x = (boxes[..., 0] + jnp.arange(side).reshape(*lead, 1, side, 1)) / side
    y = (boxes[..., 1] + jnp.arange(side).reshape(*lead, side, 1, 1)) / side
    half_width, half_height = boxes[..., 2] ** 2 / 2, boxes[..., 3] ** 2 / 2
    height, width = shape
    corners = (x - half_width) * width, (y - half_height) * height, (x + half_width) * width, (y + half_height) * height
    return jnp.stack(corners, axis=-1)


def scores(cells: Cells) -> Float[Array, "*b S S P C"]:
    """Return class-specific confidences: the class's times the box's (section 2, equation 1). None is below 0."""
    classes, confidence = (jnp.maximum(x.astype(jnp.float32), 0) for x in (cells.classes, cells.confidence))
    return confidence[..., :, None] * classes[..., None, :]


def detect(
    cells: Cells,
    shape: tuple[int, int],
    size: Float[Array, "B 2"],
    *,
    score_threshold: float,
    iou_threshold: float,
    count: int,
) -> Detections:
    """Return the best detections of each image over all classes, after suppression within each class.

    Every box is a candidate for every class for which its score is above `score_threshold`.

    Args:
        cells: the network's output.
        shape: height and width of the canvas, in pixels.
        size: height and width of each image on the canvas, in pixels; boxes are clipped to it.
        score_threshold: which scores are candidates.
        iou_threshold: the IoU above which a better box suppresses another one.
        count: the number of detections, at most.

    Returns:
        The detections.
    """
    each = scores(cells)
    images, classes = each.shape[0], each.shape[-1]
    boxes = decode(cells.boxes, shape)[..., None, :]
    boxes = jnp.broadcast_to(boxes, (*each.shape, 4)).reshape(images, -1, 4)
    labels = jnp.broadcast_to(jnp.arange(1, classes + 1).reshape(1, 1, 1, 1, -1), each.shape).reshape(images, -1)
    each = each.reshape(images, -1)
    return best(
        box_ops.clip(boxes, size), each, labels, each > score_threshold, iou_threshold=iou_threshold, count=count
    )


def _first(cell_of: Int[Array, " N"], counts: Bool[Array, " N"], side: int) -> Int[Array, " cells"]:
    """Return the first object of each cell that counts; N where there is none."""
    count = len(cell_of)
    cell = jnp.where(counts, cell_of, side**2)
    return jnp.full(side**2, count).at[cell].min(jnp.arange(count), mode="drop")


def _held(cell_of: Int[Array, " N"], counts: Bool[Array, " N"], side: int) -> Bool[Array, "S S"]:
    return (_first(cell_of, counts, side) < len(cell_of)).reshape(side, side)


def _covered(
    boxes: Float[Array, "N 4"], counts: Bool[Array, " N"], shape: tuple[int, int], side: int
) -> Bool[Array, "S S"]:
    """Return the cells of which one of the boxes covers at least half."""
    y, x = jnp.meshgrid(jnp.arange(side), jnp.arange(side), indexing="ij")
    unit = jnp.stack([x, y, x + 1, y + 1], axis=-1).reshape(-1, 4) / side
    cells = unit * jnp.array([[shape[1], shape[0], shape[1], shape[0]]], jnp.float32)
    covers = box_ops.intersection_over_area(cells, boxes) >= 0.5
    return (covers & counts[None]).any(axis=1).reshape(side, side)
