"""Anchors: boxes of several sizes and shapes at every cell of a feature map (Ren et al. 2015, section 3.1.1).

A level's anchors are ordered by row, column and base anchor, as a head's [H, W, A] output flattens.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def base_anchors(sizes: Sequence[float], ratios: Sequence[float], *, rounded: bool = False) -> Float[np.ndarray, "A 4"]:
    """Return anchors of area `size²` and `height / width = ratio` centred on the origin, in pixels, ratio by ratio.

    Args:
        sizes: square roots of the areas, in pixels.
        ratios: height / width.
        rounded: whether corners are moved to whole pixels, which changes the areas: torchvision's weights were trained
            so.

    Returns:
        The corners of each anchor.
    """
    root = np.sqrt(np.asarray(ratios, np.float32))[:, None]
    side = np.asarray(sizes, np.float32)[None, :]
    width, height = (side / root).reshape(-1), (side * root).reshape(-1)
    anchors = np.stack([-width, -height, width, height], axis=-1) / 2
    return np.round(anchors) if rounded else anchors


def legacy_table(scales: Sequence[float] = (8.0, 16.0, 32.0)) -> Float[np.ndarray, "A 4"]:
    """Return py-faster-rcnn's anchors: ratios 0.5, 1, 2 by `scales` of a 16-pixel cell, by default those it prints.

    Coordinates are the MATLAB release's, 1-based and inclusive; the sides are whole numbers of pixels.
    """
    center, rows = 8.5, []
    for ratio in (0.5, 1.0, 2.0):
        width = np.round(np.sqrt(16 * 16 / ratio))
        height = np.round(width * ratio)
        for scale in scales:
            reach = np.array([scale * width - 1, scale * height - 1]) / 2
            rows.append(np.concatenate([center - reach, center + reach]))
    return np.asarray(rows, np.float32)


def legacy_base_anchors(scales: Sequence[float] = (8.0, 16.0, 32.0)) -> Float[np.ndarray, "A 4"]:
    """Return `legacy_table` in continuous coordinates, where pixel i reaches from i - 1 to i: centred on the cell."""
    return legacy_table(scales) - np.array([[1, 1, 0, 0]], np.float32)


def grid(
    base: Float[np.ndarray, "A 4"], shape: tuple[int, int], stride: tuple[int, int], *, offset: float = 0.0
) -> Float[Array, "HWA 4"]:
    """Return base anchors shifted to every cell of a feature map.

    Args:
        base: corners of the base anchors, in pixels.
        shape: rows and columns of the map.
        stride: pixels between neighbouring cells, `(stride_y, stride_x)`.
        offset: cell (i, j) is centred on `((j + offset) * stride_x, (i + offset) * stride_y)`. 0 is the cell's corner,
            as in torchvision and py-faster-rcnn, 0.5 its centre.

    Returns:
        Corners of the anchors, in pixels, by row, column and base anchor.

    Raises:
        ValueError: any other offset.
    """
    if offset not in (0.0, 0.5):
        raise ValueError(f"anchors: offset is {offset}, but must be 0 (cell corners) or 0.5 (cell centres)")
    y = (jnp.arange(shape[0], dtype=jnp.float32) + offset) * stride[0]
    x = (jnp.arange(shape[1], dtype=jnp.float32) + offset) * stride[1]
    y, x = jnp.meshgrid(y, x, indexing="ij")
    shifts = jnp.stack([x, y, x, y], axis=-1)[:, :, None, :]
    return (shifts + jnp.asarray(base, jnp.float32)[None, None]).reshape(-1, 4)


def floor_strides(canvas: tuple[int, int], shapes: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return torchvision's strides, `canvas // shape`: 61 instead of 64 where a level's last row is cut."""
    return tuple((canvas[0] // rows, canvas[1] // columns) for rows, columns in shapes)
