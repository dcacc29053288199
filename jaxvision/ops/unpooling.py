"""Ways back from a pooled map [B, h, w, C] to a larger one: by repetition, by zeros, and by remembered places."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int32

from jaxvision.ops import windows
from jaxvision.ops.pooling import max_pool

Duplicates = Literal["sum", "last", "max"]


def nearest_unpool(x: Float[Array, "B h w C"], factor: int) -> Float[Array, "B H W C"]:
    """Fill each value's factor × factor cell with it.

    Example:
        >>> nearest_unpool(jnp.array([[[[1.0], [2.0]]]]), 2)[0, ..., 0].tolist()
        [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
    """
    batch, height, width, channels = x.shape
    cells = jnp.broadcast_to(x[:, :, None, :, None], (batch, height, factor, width, factor, channels))
    return cells.reshape(batch, height * factor, width * factor, channels)


def bed_of_nails(x: Float[Array, "B h w C"], factor: int) -> Float[Array, "B H W C"]:
    """Put each value at the top left of its factor × factor cell, among zeros.

    Example:
        >>> bed_of_nails(jnp.array([[[[1.0], [2.0]]]]), 2)[0, ..., 0].tolist()
        [[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    within = (0, factor - 1, factor - 1)  # after the last value, and between two
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), within, within, (0, 0, 0)))


def max_pool_with_indices(
    x: Float[Array, "B H W C"], window: int, strides: int, padding: int = 0
) -> tuple[Float[Array, "B h w C"], Int32[Array, "B h w C"]]:
    """Return `max_pool`, and where each maximum was.

    Args:
        x: the maps.
        window: side of the windows, in pixels.
        strides: pixels from one window to the next.
        padding: pixels on every side; it is never chosen.

    Returns:
        The pooled maps, and row · W + column of each maximum in the map, the first of equals in row order.

    Raises:
        ValueError: as much padding as the window is wide, so that a window could hold nothing else.

    Example:
        >>> values, places = max_pool_with_indices(jnp.arange(16.0).reshape(1, 4, 4, 1), 2, 2)
        >>> places[0, ..., 0].tolist()
        [[5, 7], [13, 15]]
    """
    if padding >= window:
        raise ValueError(f"max_pool_with_indices: padding={padding} leaves windows of {window} empty, give less")
    y = max_pool(x, window, strides, padding)
    pads = ((padding, padding), (padding, padding))
    # NaN, which max_pool passes on, is looked for as infinity; padding then is NaN, which equals nothing.
    seen = windows.views(windows.pad(_nan_as_infinity(x), pads, jnp.nan), (window, window), (strides, strides))
    maximum, index = _nan_as_infinity(y), jnp.zeros(y.shape, jnp.int32)
    for i in reversed(range(window)):
        for j in reversed(range(window)):
            index = jnp.where(seen[i][j] == maximum, i * x.shape[2] + j, index)
    return y, index + _corners((y.shape[1], y.shape[2]), strides, padding, x.shape[2])


def max_unpool(
    x: Float[Array, "B h w C"],
    indices: Int32[Array, "B h w C"],
    output_shape: tuple[int, int],
    *,
    window: int | None = None,
    mode: Duplicates = "sum",
) -> Float[Array, "B H W C"]:
    """Put each value where its index says, into a map of zeros.

    Args:
        x: the values.
        indices: row · W + column in the larger map, as `max_pool_with_indices` gives them. Indices outside the map, or
            outside the cell, drop their value.
        output_shape: (H, W) of the map that was pooled. The pooled map's shape does not tell it: 57 and 56 both give
            28.
        window: the side of the windows, if they lay a window apart and without padding. Each value then stays in its
            own cell and nothing is scattered, which is faster.
        mode: of values with one index, which overlapping windows give, "sum" adds, "last" keeps the last in row order
            and "max" the largest (the last of equals).

    Returns:
        The larger maps.

    Raises:
        ValueError: shapes do not fit, or an index lies outside, where indices are known: outside `jit`.

    Example:
        >>> values, places = max_pool_with_indices(jnp.array([[1.0, 4.0], [3.0, 2.0]])[None, ..., None], 2, 2)
        >>> max_unpool(values, places, (2, 2))[0, ..., 0].tolist()
        [[0.0, 4.0], [0.0, 0.0]]
    """
    _check(x, indices, output_shape, window)
    if window is not None:
        return _into_cells(x, indices, output_shape, window)
    return _scatter(x, indices, output_shape, mode)


def _nan_as_infinity(x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
    return jnp.where(jnp.isnan(x), jnp.inf, lax.stop_gradient(x))


def _corners(pooled: tuple[int, int], stride: int, padding: int, width: int) -> Int32[Array, "1 h w 1"]:
    """Return the flat index of each window's first row and column, in a map `width` wide."""
    rows, columns = (jnp.arange(n, dtype=jnp.int32) * stride - padding for n in pooled)
    return (rows[:, None] * width + columns[None])[None, :, :, None]


def _check(
    x: Float[Array, "B h w C"], indices: Int32[Array, "B h w C"], shape: tuple[int, int], window: int | None
) -> None:
    if window is not None and x.shape[1:3] != (shape[0] // window, shape[1] // window):
        raise ValueError(f"max_unpool: {x.shape[1:3]} are not the cells of {window} in {shape}; give the pooled map's")
    if isinstance(indices, jax.core.Tracer):
        return
    places = np.asarray(indices)
    fits = (places >= 0) & (places < shape[0] * shape[1])
    if window is not None:
        row, column = np.divmod(places, shape[1])
        cells = np.indices(x.shape[1:3])[:, None, :, :, None]
        fits &= (row // window == cells[0]) & (column // window == cells[1])
    if not fits.all():
        where = "the map" if window is None else f"their cells of {window}"
        raise ValueError(f"max_unpool: indices outside {where} for {shape}; give the shape of the map that was pooled")


def _into_cells(
    x: Float[Array, "B h w C"], indices: Int32[Array, "B h w C"], shape: tuple[int, int], window: int
) -> Float[Array, "B H W C"]:
    """Compare once for each place in a cell; the cells together are the map, less what no window reached.

    To 4×112×112×64 with the gradient, on two shared CPU cores: 14 ms by a scatter, 4.5 ms so.
    """
    height, width = x.shape[1:3]
    inside = indices - _corners((height, width), window, 0, shape[1])
    rows = [
        jnp.stack([jnp.where(inside == i * shape[1] + j, x, 0) for j in range(window)], axis=3) for i in range(window)
    ]
    y = jnp.stack(rows, axis=2).reshape(x.shape[0], height * window, width * window, x.shape[3])
    return windows.pad(y, ((0, shape[0] - y.shape[1]), (0, shape[1] - y.shape[2])))


def _scatter(
    x: Float[Array, "B h w C"], indices: Int32[Array, "B h w C"], shape: tuple[int, int], mode: Duplicates
) -> Float[Array, "B H W C"]:
    batch, height, width, channels = x.shape
    size, count = shape[0] * shape[1], height * width
    values, places = x.reshape(batch, count, channels), indices.reshape(batch, count, channels)
    places = jnp.where((places >= 0) & (places < size), places, size)  # beyond the map, which drops it
    images, layers = jnp.arange(batch)[:, None, None], jnp.arange(channels)[None, None]
    empty = jnp.zeros((batch, size, channels), x.dtype)
    if mode == "sum":
        return empty.at[images, places, layers].add(values, mode="drop").reshape(batch, *shape, channels)
    order = jnp.broadcast_to(jnp.arange(count, dtype=jnp.int32)[None, :, None], places.shape)
    if mode == "max":
        known = lax.stop_gradient(values)
        largest = jnp.full_like(empty, -jnp.inf).at[images, places, layers].max(known, mode="drop")
        order = jnp.where(known == largest.at[images, places, layers].get(mode="clip"), order, -1)
    last = jnp.full(empty.shape, -1, jnp.int32).at[images, places, layers].max(order, mode="drop")
    y = jnp.where(last >= 0, jnp.take_along_axis(values, jnp.maximum(last, 0), axis=1), 0)
    return y.reshape(batch, *shape, channels)
