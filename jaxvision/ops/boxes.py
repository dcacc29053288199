"""Arithmetic of boxes: continuous `x0, y0, x1, y1` in pixels, origin at the top-left corner of the top-left pixel.

Everything is computed in float32 whatever comes in. An image's size is data, `(height, width)`, because a padded
canvas is larger than the image on it.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

LOG_SIZE_LIMIT = math.log(1000 / 16)
_SMALLEST_SIDE = 1e-3  # pixels; keeps the logarithms and quotients of degenerate boxes finite


def area(boxes: Float[Array, "*b 4"]) -> Float[Array, "*b"]:
    """Return areas in square pixels; an inverted box has none."""
    width, height = _sides(boxes)
    return jnp.maximum(width, 0) * jnp.maximum(height, 0)


def iou(boxes: Float[Array, "*b N 4"], others: Float[Array, "*b M 4"]) -> Float[Array, "*b N M"]:
    """Return the intersection over union of every box with every other; 0 where the union is empty.

    Example:
        >>> box_iou(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[0.0, 0.0, 2.0, 1.0], [5.0, 5.0, 6.0, 6.0]])).tolist()
        [[0.5, 0.0]]
    """
    shared = intersection(boxes, others)
    return _ratio(shared, area(boxes)[..., :, None] + area(others)[..., None, :] - shared)


def intersection_over_area(boxes: Float[Array, "*b N 4"], others: Float[Array, "*b M 4"]) -> Float[Array, "*b N M"]:
    """Return the share of each of `boxes` that each of `others` covers; 0 for a box without area."""
    shared = intersection(boxes, others)
    return _ratio(shared, jnp.broadcast_to(area(boxes)[..., :, None], shared.shape))


def intersection(boxes: Float[Array, "*b N 4"], others: Float[Array, "*b M 4"]) -> Float[Array, "*b N M"]:
    """Return the area common to every pair, in square pixels."""
    x0, y0, x1, y1 = (coordinate[..., :, None] for coordinate in _corners(boxes))
    u0, v0, u1, v1 = (coordinate[..., None, :] for coordinate in _corners(others))
    width = jnp.minimum(x1, u1) - jnp.maximum(x0, u0)
    height = jnp.minimum(y1, v1) - jnp.maximum(y0, v0)
    return jnp.maximum(width, 0) * jnp.maximum(height, 0)


def encode(
    boxes: Float[Array, "... 4"],
    anchors: Float[Array, "... 4"],
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
) -> Float[Array, "... 4"]:
    """Return offsets `(dx/w, dy/h, log w, log h)` from anchors to boxes (Girshick et al. 2014, appendix C).

    Args:
        boxes: corners in pixels. Sides below 1e-3 pixels count as 1e-3, so that degenerate boxes give finite offsets.
        anchors: corners in pixels.
        weights: what each offset is multiplied by; (10, 10, 5, 5) is the division by standard deviations (.1, .1, .2,
            .2) of Fast R-CNN's released code.

    Returns:
        The offsets.

    Example:
        >>> boxes, anchors = jnp.array([[2.0, 0.0, 6.0, 8.0]]), jnp.array([[0.0, 0.0, 4.0, 8.0]])
        >>> encode_boxes(boxes, anchors).tolist()
        [[0.5, 0.0, 0.0, 0.0]]
    """
    x, y, width, height = _center_form(boxes)
    anchor_x, anchor_y, anchor_width, anchor_height = _center_form(anchors)
    offsets = (
        (x - anchor_x) / anchor_width,
        (y - anchor_y) / anchor_height,
        jnp.log(width / anchor_width),
        jnp.log(height / anchor_height),
    )
    return jnp.stack([offset * weight for offset, weight in zip(offsets, weights, strict=True)], axis=-1)


def decode(
    offsets: Float[Array, "... 4"],
    anchors: Float[Array, "... 4"],
    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
) -> Float[Array, "... 4"]:
    """Return the boxes of which `encode` gives the offsets.

    Args:
        offsets: from anchors to boxes. Log-sizes are cut at ln(1000/16), so that an untrained head overflows no
            exponential.
        anchors: corners in pixels.
        weights: those of `encode`.

    Returns:
        Corners in pixels.

    Example:
        >>> offsets, anchors = jnp.array([[0.5, 0.0, 0.0, 0.0]]), jnp.array([[0.0, 0.0, 4.0, 8.0]])
        >>> decode_boxes(offsets, anchors).tolist()
        [[2.0, 0.0, 6.0, 8.0]]
    """
    x0, y0, x1, y1 = _corners(anchors)
    anchor_width, anchor_height = x1 - x0, y1 - y0
    dx, dy, dw, dh = (offset / weight for offset, weight in zip(_corners(offsets), weights, strict=True))
    x, y = x0 + (0.5 + dx) * anchor_width, y0 + (0.5 + dy) * anchor_height
    half_width = 0.5 * anchor_width * jnp.exp(jnp.minimum(dw, LOG_SIZE_LIMIT))
    half_height = 0.5 * anchor_height * jnp.exp(jnp.minimum(dh, LOG_SIZE_LIMIT))
    return jnp.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=-1)


def clip(boxes: Float[Array, "*b N 4"], size: Float[Array, "*b 2"]) -> Float[Array, "*b N 4"]:
    """Move corners outside the image onto its border; `size` is each image's true `(height, width)`.

    Example:
        >>> clip_boxes(jnp.array([[-5.0, 2.0, 30.0, 9.0]]), jnp.array([10.0, 20.0])).tolist()
        [[0.0, 2.0, 20.0, 9.0]]
    """
    height, width = size[..., 0, None], size[..., 1, None]
    x0, y0, x1, y1 = _corners(boxes)
    clipped = [jnp.clip(at, 0, limit) for at, limit in ((x0, width), (y0, height), (x1, width), (y1, height))]
    return jnp.stack(clipped, axis=-1).astype(jnp.float32)


def flip(boxes: Float[Array, "*b N 4"], width: Float[Array, "*b"]) -> Float[Array, "*b N 4"]:
    """Mirror left to right in an image of `width` pixels: `x' = width - x`, corners swapped."""
    x0, y0, x1, y1 = _corners(boxes)
    return jnp.stack([width[..., None] - x1, y0, width[..., None] - x0, y1], axis=-1).astype(jnp.float32)


def inside(boxes: Float[Array, "*b N 4"], size: Float[Array, "*b 2"]) -> Bool[Array, "*b N"]:
    """Return which boxes lie wholly in the image of true `(height, width)`: all others are cross-boundary anchors."""
    height, width = size[..., 0, None], size[..., 1, None]
    x0, y0, x1, y1 = _corners(boxes)
    return (x0 >= 0) & (y0 >= 0) & (x1 <= width) & (y1 <= height)


def valid(boxes: Float[Array, "*b 4"], min_side: float = 0.0) -> Bool[Array, "*b"]:
    """Return which boxes are finite and have positive width and height, and sides of at least `min_side` pixels."""
    width, height = _sides(boxes)
    shorter = jnp.minimum(width, height)
    return (shorter > 0) & (shorter >= min_side) & jnp.isfinite(boxes).all(axis=-1)


def _corners(boxes: Float[Array, "*b 4"]) -> tuple[Float[Array, "*b"], ...]:
    boxes = boxes.astype(jnp.float32)
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]


def _sides(boxes: Float[Array, "*b 4"]) -> tuple[Float[Array, "*b"], Float[Array, "*b"]]:
    x0, y0, x1, y1 = _corners(boxes)
    return x1 - x0, y1 - y0


def _center_form(boxes: Float[Array, "*b 4"]) -> tuple[Float[Array, "*b"], ...]:
    x0, y0, x1, y1 = _corners(boxes)
    width, height = jnp.maximum(x1 - x0, _SMALLEST_SIDE), jnp.maximum(y1 - y0, _SMALLEST_SIDE)
    return 0.5 * (x0 + x1), 0.5 * (y0 + y1), width, height


def _ratio(part: Float[Array, "*b"], whole: Float[Array, "*b"]) -> Float[Array, "*b"]:
    # Both branches of `where` are differentiated, so the divisor is made safe before the division.
    positive = whole > 0
    return jnp.where(positive, part / jnp.where(positive, whole, 1), 0)
