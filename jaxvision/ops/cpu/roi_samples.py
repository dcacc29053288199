"""RoIAlign on a CPU: map after map of a pyramid, and the gradients of a few RoIs at a time, which the cache holds."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxvision.ops.roi_samples import Tables, Taps, add_samples, weighted_sum


def read(tables: Tables, rows: Taps, columns: Taps, level: Int[Array, " N"]) -> Float[Array, "N P Q C"]:
    """Return `ops.roi_samples.read`: all RoIs pass over each map, and those of other maps read nothing.

    One table of all maps, or a sort of the RoIs by map, would copy the whole pyramid and take three times as long.

    Args:
        tables: the cells of each map.
        rows: taps, whose rows are those of one table of all maps.
        columns: taps.
        level: the number of each RoI's map, -1 for a RoI that is 0.

    Returns:
        The sums.
    """
    own = _own([len(table) for table in tables], rows, columns, level)
    outputs = [
        jnp.where(mine[:, None, None, None], weighted_sum(table, *taps), 0)
        for table, (mine, *taps) in zip(tables, own, strict=True)
    ]
    return sum(outputs[1:], start=outputs[0])


def spread(
    rows: Taps, columns: Taps, level: Int[Array, " N"], gradient: Float[Array, "N P Q C"], sizes: Sequence[int]
) -> tuple[Float[Array, "_ C"], ...]:
    """Return `ops.roi_samples.spread_over`, a few RoIs at a time: 20 ms instead of 380 ms.

    Args:
        rows: the taps of the samples' rows.
        columns: the taps of the samples' columns.
        level: the number of each RoI's map.
        gradient: the gradient in each sample.
        sizes: the entries of each table.

    Returns:
        A gradient for each table.
    """
    empty = [jnp.zeros((size, gradient.shape[-1]), jnp.float32) for size in sizes]
    own = _own(sizes, rows, columns, level)
    return tuple(accumulate(add_samples, one, (*taps, gradient)) for one, (_, *taps) in zip(empty, own, strict=True))


def _own(
    sizes: Sequence[int], rows: Taps, columns: Taps, level: Int[Array, " N"]
) -> Iterator[tuple[Bool[Array, " N"], Taps, Taps]]:
    """Yield for each map which RoIs are its own, and the taps within it; those of other RoIs are 0, weights too."""
    begin = 0
    for index, size in enumerate(sizes):
        mine = level == index
        here = mine[:, None, None]
        yield (
            mine,
            Taps(jnp.where(here, rows.position - begin, 0), jnp.where(here, rows.weight, 0)),
            Taps(jnp.where(here, columns.position, 0), jnp.where(here, columns.weight, 0)),
        )
        begin += size


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
