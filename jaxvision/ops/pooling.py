"""Pooling over square windows of [B, H, W, C] maps."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, UInt

from jaxvision.ops import windows
from jaxvision.ops.dispatch import dispatch
from jaxvision.ops.windows import Pads


def max_pool(x: Float[Array, "B H W C"], window: int, strides: int, padding: int = 0) -> Float[Array, "B h w C"]:
    """Return the maximum over each window that lies inside the map padded by minus infinity.

    The gradient goes to the first maximum of a window, in row order.

    Args:
        x: the maps.
        window: side of the windows, in pixels.
        strides: pixels from one window to the next.
        padding: pixels on every side.

    Returns:
        The pooled maps.

    Example:
        >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2, 2)[0, ..., 0].tolist()
        [[5.0, 7.0], [13.0, 15.0]]
    """
    return _max(x, window, strides, ((padding, padding), (padding, padding)))


def max_pool_ceil(x: Float[Array, "B H W C"], window: int, strides: int, padding: int = 0) -> Float[Array, "B h w C"]:
    """Return `max_pool` with the windows that overhang the far edges too, as in Caffe and with torch's `ceil_mode`.

    Args:
        x: the maps.
        window: side of the windows, in pixels; the last one must start inside the map or its near padding.
        strides: pixels from one window to the next.
        padding: pixels on every side.

    Returns:
        The pooled maps.
    """
    rows, columns = (_ceil_pads(n, window, strides, padding) for n in x.shape[1:3])
    return _max(x, window, strides, (rows, columns))


def avg_pool(
    x: Float[Array, "B H W C"], window: int, strides: int, padding: int = 0, *, count_include_pad: bool = True
) -> Float[Array, "B h w C"]:
    """Return the mean over each window.

    Args:
        x: the maps.
        window: side of the windows, in pixels.
        strides: pixels from one window to the next.
        padding: pixels of zeros on every side.
        count_include_pad: whether these zeros count as values.

    Returns:
        The pooled maps.

    Example:
        >>> avg_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 2, 2)[0, ..., 0].tolist()
        [[2.5, 4.5], [10.5, 12.5]]
    """
    pads = ((padding, padding), (padding, padding))
    total = lax.reduce_window(
        x, 0.0, lax.add, (1, window, window, 1), (1, strides, strides, 1), ((0, 0), *pads, (0, 0))
    )
    if count_include_pad:
        return total / window**2
    rows, columns = (_covered(n, window, strides, padding) for n in x.shape[1:3])
    return total / jnp.asarray(np.outer(rows, columns), x.dtype)[None, :, :, None]


def adaptive_avg_pool(x: Float[Array, "B H W C"], size: tuple[int, int]) -> Float[Array, "B h w C"]:
    """Return averages over size[0] × size[1] windows that cover the map: window i of n spans ⌊iH/n⌋ to ⌈(i+1)H/n⌉.

    Example:
        >>> adaptive_avg_pool(jnp.ones((1, 7, 5, 3)), (2, 2)).shape
        (1, 2, 2, 3)
    """
    if x.shape[1:3] == size:
        return x
    rows = jnp.asarray(_averages(x.shape[1], size[0]), x.dtype)
    columns = jnp.asarray(_averages(x.shape[2], size[1]), x.dtype)
    return jnp.einsum("pi,qj,bijc->bpqc", rows, columns, x)


def _ceil_pads(length: int, window: int, stride: int, padding: int) -> tuple[int, int]:
    windows_ = -(-(length + 2 * padding - window) // stride) + 1
    if (windows_ - 1) * stride >= length + padding:
        windows_ -= 1
    return padding, max((windows_ - 1) * stride + window - length - padding, 0)


def _covered(length: int, window: int, stride: int, padding: int) -> np.ndarray:
    """Return how many pixels of the map each window covers along one axis."""
    starts = np.arange(windows.count(length, window, stride, (padding, padding))) * stride - padding
    return np.minimum(starts + window, length) - np.maximum(starts, 0)


def _averages(length: int, windows: int) -> np.ndarray:
    start = np.arange(windows)[:, None] * length // windows
    stop = -(-(np.arange(windows)[:, None] + 1) * length // windows)
    index = np.arange(length)[None]
    return ((index >= start) & (index < stop)) / (stop - start)


class Windows(NamedTuple):
    """Where the windows of a pooling lie, in pixels: static, so hashable."""

    window: int  # side of each
    stride: int  # from one to the next
    pads: Pads  # (before, after) rows and columns
    size: tuple[int, int]  # of the map

    def views(self, x: Float[Array, "B H W C"]) -> list[Float[Array, "B h w C"]]:
        """Return, for each place in a window in row order, the pixels that all windows have there."""
        padded = windows.pad(x, self.pads, -jnp.inf)
        rows = windows.views(padded, (self.window, self.window), (self.stride, self.stride))
        return [view for row in rows for view in row]


def _max(x: Float[Array, "B H W C"], window: int, stride: int, pads: Pads) -> Float[Array, "B h w C"]:
    return _max_pool(x, Windows(window, stride, pads, (x.shape[1], x.shape[2])))


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _max_pool(x: Float[Array, "B H W C"], at: Windows) -> Float[Array, "B h w C"]:
    return dispatch(x, cpu="pooling.max_pool", default=_reduce_window, at=at)


def _reduce_window(x: Float[Array, "B H W C"], at: Windows) -> Float[Array, "B h w C"]:
    window, strides = (1, at.window, at.window, 1), (1, at.stride, at.stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, ((0, 0), *at.pads, (0, 0)))


def _forward(x: Float[Array, "B H W C"], at: Windows) -> tuple[Float[Array, "B h w C"], UInt[Array, "B h w C"]]:
    """Pool, and keep in a byte a window where its maximum was, so that the gradient need not read `x` again.

    Of equal maxima the first in row order counts. Each place is compared with the largest before it, never with a
    maximum computed apart: a compiler may round `x` differently in the two, and then no place would be equal to it.
    """
    y, *others = at.views(x)
    dtype = jnp.uint8 if len(others) < 255 else jnp.uint32
    index = jnp.zeros(y.shape, dtype)
    for n, view in enumerate(others, 1):
        larger = view > y
        index, y = jnp.where(larger, jnp.asarray(n, dtype), index), jnp.maximum(y, view)
    return y, index


def _backward(
    at: Windows, index: UInt[Array, "B h w C"], dy: Float[Array, "B h w C"]
) -> tuple[Float[Array, "B H W C"]]:
    """Send each window's gradient to its maximum.

    16×112×112×64, 3×3/2, on a CPU: 195 ms as select-and-scatter, 28 ms as the derivative of maxima of slices, 3 ms so.
    """
    reach = windows.overlap(at.window, at.stride)
    edge = ((reach, reach), (reach, reach))
    padded_index, padded = windows.pad(index, edge), windows.pad(dy, edge)

    def piece(i: int, j: int) -> Float[Array, "B h w C"]:
        return jnp.where(padded_index == i * at.window + j, padded, 0)

    return (windows.fold(piece, (at.window, at.window), (at.stride, at.stride), at.size, at.pads),)


_max_pool.defvjp(_forward, _backward)
