"""RoIAlign's gradient on a CPU, for a few RoIs at a time, so that their terms stay in the cache."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float

from jaxvision.ops import roi
from jaxvision.ops.roi import Taps


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
    return accumulate(roi.add_samples, table, (rows, columns, gradient))


def accumulate(add: Callable[..., Array], table: Array, terms: tuple[Any, ...]) -> Array:
    """Return `add(table, *terms)`, added up for eight RoIs after eight.

    Args:
        add: a function that adds terms to a table.
        table: what is added to.
        terms: arrays, or trees of them, with RoIs along the first axis. Where their number is no multiple of eight,
            as many are taken as divide it.

    Returns:
        The table with the sums.
    """
    few = math.gcd(jax.tree.leaves(terms)[0].shape[0], 8)
    groups = jax.tree.map(lambda a: a.reshape(-1, few, *a.shape[1:]), terms)
    return jax.lax.scan(lambda table, group: (add(table, *group), None), table, groups)[0]
