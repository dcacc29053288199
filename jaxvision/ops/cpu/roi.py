"""RoI ops on a CPU, few RoIs at a time, so that what belongs to them stays in the cache."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float, Int

from jaxvision.ops import roi
from jaxvision.ops.roi import Bins, Taps


def argmax_cells(table: Float[Array, "T C"], bins: Bins, width: int) -> Int[Array, "N P Q C"]:
    """Return `ops.roi.argmax_cells`, RoI by RoI, so that the loop of each ends with its own largest bin.

    Args:
        table: the cells of all maps, row by row.
        bins: which cells each bin covers.
        width: cells in a row of a map.

    Returns:
        The entry for each RoI, row and column of bins, and channel.
    """
    cells = jax.lax.map(lambda one: roi.argmax_cells(table, jax.tree.map(lambda a: a[None], one), width), bins)
    return cells.reshape(-1, *cells.shape[2:])


def add_samples(
    table: Float[Array, "T C"], rows: Taps, columns: Taps, gradient: Float[Array, "N P Q C"]
) -> Float[Array, "T C"]:
    """Return `ops.roi.add_samples`, a few RoIs at a time: 20 ms instead of 380 ms.

    Args:
        table: what is added to.
        rows: the taps of the samples' rows; `rows.position + columns.position` is an entry of the table.
        columns: the taps of the samples' columns.
        gradient: the gradient in each sample.

    Returns:
        The table with the sums.
    """
    return _accumulate(roi.add_samples, table, (rows, columns, gradient))


def add_at(
    table: Float[Array, "TC"], cell: Int[Array, "N P Q C"], gradient: Float[Array, "N P Q C"]
) -> Float[Array, "TC"]:
    """Return `ops.roi.add_at`, a few RoIs at a time: a third of the time.

    Args:
        table: what is added to, for each cell its channels.
        cell: the cell of each gradient; that of cell -1 is dropped.
        gradient: what to add.

    Returns:
        The table with the sums.
    """
    return _accumulate(roi.add_at, table, (cell, gradient))


def _accumulate(add: Callable[..., Array], table: Array, terms: tuple[Any, ...]) -> Array:
    """Return `add(table, *terms)`, for eight RoIs after eight, or fewer where their number is no multiple."""
    few = math.gcd(jax.tree.leaves(terms)[0].shape[0], 8)
    groups = jax.tree.map(lambda a: a.reshape(-1, few, *a.shape[1:]), terms)
    return jax.lax.scan(lambda table, group: (add(table, *group), None), table, groups)[0]
