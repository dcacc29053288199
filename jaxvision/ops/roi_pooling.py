"""Features of regions of interest by the maximum over bins of whole cells: RoIPool.

RoIs are boxes in pixels of the network's canvas. `N` is batch times RoIs, `P` the output's rows, `Q` its columns; a
table has the cells of all maps, row by row.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxvision.ops.dispatch import dispatch
from jaxvision.ops.roi import quantise


class Bins(NamedTuple):
    """RoIPool's bins: cells from begin up to, not including, end, in the image that starts at `base` in the table."""

    base: Int[Array, "N"]
    row_begin: Int[Array, "N P"]
    row_end: Int[Array, "N P"]
    column_begin: Int[Array, "N Q"]
    column_end: Int[Array, "N Q"]


def roi_pool(
    features: Float[Array, "B H W C"],
    rois: Float[Array, "B R 4"],
    output_size: tuple[int, int],
    *,
    spatial_scale: float,
) -> Float[Array, "B R P Q C"]:
    """Return the maximum over each bin of the RoI, borders quantised outward to cells (Girshick 2015, section 2.1).

    The gradient goes to the first cell that holds the maximum.

    Args:
        features: the maps.
        rois: corners in pixels of the canvas.
        output_size: rows and columns of bins.
        spatial_scale: cells a pixel, 1/16 for a map of stride 16.

    Returns:
        The features of each RoI; a bin outside the map is 0.

    Example:
        >>> features, rois = jnp.arange(16.0).reshape(1, 4, 4, 1), jnp.array([[[0.0, 0.0, 3.0, 3.0]]])
        >>> roi_pool(features, rois, (2, 2), spatial_scale=1.0)[0, 0, ..., 0].tolist()
        [[5.0, 7.0], [13.0, 15.0]]
    """
    batch, height, width, channels = features.shape
    first, last = quantise(rois, spatial_scale)
    count = rois.shape[0] * rois.shape[1]
    bins = Bins(
        jnp.repeat(jnp.arange(batch) * height * width, rois.shape[1]),
        *(a.reshape(count, -1) for a in bin_borders(first[..., 1], last[..., 1], output_size[0], height)),
        *(a.reshape(count, -1) for a in bin_borders(first[..., 0], last[..., 0], output_size[1], width)),
    )
    table = features.reshape(-1, channels)
    known = jax.lax.stop_gradient(table)
    cell = dispatch(known, bins, cpu="roi_pooling.argmax_cells", default=argmax_cells, width=width)
    return _pick(table, cell).reshape(*rois.shape[:2], *output_size, channels)


def bin_borders(
    first: Int[Array, "B R"], last: Int[Array, "B R"], bins: int, length: int
) -> tuple[Int[Array, "B R P"], Int[Array, "B R P"]]:
    """Return each bin's first cell and the cell after its last along one axis, cut to the map; bins may overlap.

    Args:
        first: first cell of each RoI.
        last: its last cell, which it includes.
        bins: bins of a RoI.
        length: cells of the map.
    """
    size = jnp.maximum(last - first + 1, 1)[..., None]
    number = jnp.arange(bins)[None, None]
    begin, end = number * size // bins, -(-(number + 1) * size // bins)
    return jnp.clip(begin + first[..., None], 0, length), jnp.clip(end + first[..., None], 0, length)


def argmax_cells(table: Float[Array, "T C"], bins: Bins, width: int) -> Int[Array, "N P Q C"]:
    """Return the table entry that holds each bin's maximum, the first in row-major order; -1 for an empty bin.

    Args:
        table: the cells of all maps, row by row.
        bins: which cells each bin covers.
        width: cells in a row of a map.

    Returns:
        The entry for each RoI, row and column of bins, and channel.
    """
    tallest = (bins.row_end - bins.row_begin).max(initial=0)
    widest = (bins.column_end - bins.column_begin).max(initial=0)

    def visit(step: Int[Array, ""], carry: tuple[Array, Array]) -> tuple[Array, Array]:
        best, found = carry
        row, column = bins.row_begin + step // widest, bins.column_begin + step % widest
        member = (row < bins.row_end)[:, :, None] & (column < bins.column_end)[:, None, :]
        cell = jnp.where(member, bins.base[:, None, None] + row[:, :, None] * width + column[:, None, :], 0)
        value = table.at[cell].get(mode="promise_in_bounds")
        better = member[..., None] & (value > best)
        return jnp.where(better, value, best), jnp.where(better, cell[..., None], found)

    shape = (*bins.row_begin.shape, bins.column_begin.shape[1], table.shape[1])
    start = jnp.full(shape, -jnp.inf, table.dtype), jnp.full(shape, -1, jnp.int32)
    return jax.lax.fori_loop(0, tallest * widest, visit, start)[1]


def _picked(table: Float[Array, "T C"], cell: Int[Array, "N P Q C"]) -> Float[Array, "N P Q C"]:
    """Return for every channel the table's value at its own cell; 0 at cell -1."""
    channels = table.shape[1]
    value = jnp.take_along_axis(table, jnp.maximum(cell, 0).reshape(-1, channels), axis=0, mode="promise_in_bounds")
    return jnp.where(cell >= 0, value.reshape(cell.shape), 0)


_pick = jax.custom_vjp(_picked)


def _pick_forward(table: Array, cell: Array) -> tuple[Array, tuple[Array, Array]]:
    return _picked(table, cell), (table, cell)


def _pick_backward(saved: tuple[Array, Array], gradient: Float[Array, "N P Q C"]) -> tuple[Float[Array, "T C"], None]:
    table, cell = saved
    empty = jnp.zeros(table.size, jnp.float32)
    spread = dispatch(empty, cell, gradient.astype(jnp.float32), cpu="roi_pooling.add_at", default=add_at)
    return spread.reshape(table.shape).astype(table.dtype), None


_pick.defvjp(_pick_forward, _pick_backward)


def add_at(
    table: Float[Array, "TC"], cell: Int[Array, "N P Q C"], gradient: Float[Array, "N P Q C"]
) -> Float[Array, "TC"]:
    """Add gradients to the entries of a flat table that they came from.

    Args:
        table: what is added to, for each cell its channels.
        cell: the cell of each gradient; that of cell -1 is dropped.
        gradient: what to add.

    Returns:
        The table with the sums.
    """
    channels = cell.shape[-1]
    at = jnp.where(cell >= 0, cell * channels + jnp.arange(channels).reshape(1, 1, 1, -1), table.shape[0])
    return table.at[at.reshape(-1)].add(gradient.reshape(-1), mode="drop")
