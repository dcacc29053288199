"""The parts of an image that bins of RoIPool, RoIWarp and RoIAlign cover, and how far they are from the RoI's own bins.

R is RoIs, P the rows of bins, Q their columns. All is in pixels of the canvas, where cell i of a map of stride s covers
the pixels from s · i to s · (i + 1).
"""

from typing import Literal, NamedTuple, get_args

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.ops.roi import quantise
from jaxvision.ops.roi_pooling import bin_borders

Operation = Literal["pool", "warp", "align"]


class Borders(NamedTuple):
    """Where each bin begins and ends along both axes."""

    rows: Float[Array, "R P 2"]
    columns: Float[Array, "R Q 2"]


def covered(
    rois: Float[Array, "R 4"], output_size: tuple[int, int], operation: str, *, stride: int, canvas: int
) -> Borders:
    """Return what the bins of each RoI cover.

    Args:
        rois: corners.
        output_size: P and Q.
        operation: "align" leaves the RoI as it is, "warp" rounds its corners to cells, "pool" its bins' borders too.
        stride: pixels a cell of the map.
        canvas: pixels of the canvas's longer side, beyond which no cell lies.

    Returns:
        The borders.

    Raises:
        ValueError: there is no such operation.
    """
    if operation not in get_args(Operation):
        raise ValueError(f"operation {operation!r}: choose of {', '.join(get_args(Operation))}")
    if operation == "align":
        return _even(rois, output_size)
    first, last = quantise(rois[None], 1 / stride)
    if operation == "warp":
        cells = jnp.concatenate([first, jnp.maximum(last, first) + 1], axis=-1)[0]
        return _even(cells.astype(jnp.float32) * stride, output_size)
    sides = [bin_borders(first[..., i], last[..., i], output_size[1 - i], -(-canvas // stride)) for i in (1, 0)]
    rows, columns = (jnp.stack([begin[0], end[0]], axis=-1).astype(jnp.float32) * stride for begin, end in sides)
    return Borders(rows, columns)


def misalignment(found: Borders, exact: Borders) -> Float[Array, "R P Q 2"]:
    """Return by how many pixels down and across the middle of each bin is not where it should be."""
    down, across = (f.mean(axis=-1) - e.mean(axis=-1) for f, e in zip(found, exact, strict=True))
    both = jnp.broadcast_arrays(down[:, :, None], across[:, None, :])
    return jnp.stack(both, axis=-1)


def _even(boxes: Float[Array, "R 4"], output_size: tuple[int, int]) -> Borders:
    """Divide boxes into bins of the same size."""

    def divided(first: Float[Array, " R"], last: Float[Array, " R"], bins: int) -> Float[Array, "R P 2"]:
        ends = jnp.stack([jnp.arange(bins), jnp.arange(1, bins + 1)], axis=-1) / bins
        return first[:, None, None] + (last - first)[:, None, None] * ends[None]

    return Borders(divided(boxes[:, 1], boxes[:, 3], output_size[0]), divided(boxes[:, 0], boxes[:, 2], output_size[1]))
