"""Strided windows over [B, H, W, C] maps and their adjoint, as slices that one elementwise loop can fuse.

XLA's own forms (reduce-window, select-and-scatter, convolutions with a dilated operand) run as scalar loops on a CPU.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Num

Pads = tuple[tuple[int, int], tuple[int, int]]


def count(length: int, window: int, stride: int, pads: tuple[int, int]) -> int:
    """Return the number of windows along one axis: those that lie wholly inside the padded input.

    Args:
        length: pixels of the axis.
        window: side of the windows, in pixels.
        stride: pixels from one window to the next.
        pads: pixels before and after.

    Returns:
        The number.
    """
    return (length + sum(pads) - window) // stride + 1


def pad(x: Num[Array, "B H W C"], pads: Pads, value: float = 0) -> Num[Array, "B h w C"]:
    """Surround maps with rows and columns of a value; negative pads crop.

    Args:
        x: the maps.
        pads: pixels (before, after) rows and columns.
        value: of the new pixels.

    Returns:
        The padded maps.
    """
    return lax.pad(x, jnp.asarray(value, x.dtype), ((0, 0, 0), (*pads[0], 0), (*pads[1], 0), (0, 0, 0)))


def views(
    x: Float[Array, "B H W C"], window: tuple[int, int], strides: tuple[int, int]
) -> list[list[Float[Array, "B h w C"]]]:
    """Return, for each place in a window, the pixels that all windows have there.

    Args:
        x: maps, already padded.
        window: rows and columns of the windows, in pixels.
        strides: pixels from one window to the next, down and across.

    Returns:
        At `[i][j]` the pixels at row i and column j of every window.
    """
    height, width = (count(n, k, s, (0, 0)) for n, k, s in zip(x.shape[1:3], window, strides, strict=True))
    rows, columns = (height - 1) * strides[0] + 1, (width - 1) * strides[1] + 1
    return [
        [x[:, i : i + rows : strides[0], j : j + columns : strides[1]] for j in range(window[1])]
        for i in range(window[0])
    ]


def overlap(window: int, stride: int) -> int:
    """Return how many further windows can cover the pixel that a window starts at."""
    return -(-window // stride) - 1


def fold(
    piece: Callable[[int, int], Float[Array, "B h w C"]],
    window: tuple[int, int],
    strides: tuple[int, int],
    size: tuple[int, int],
    pads: Pads,
) -> Float[Array, "B H W C"]:
    """Add a value for each place in each window to the pixel at that place: the adjoint of `views(pad(x, pads))`.

    Args:
        piece: `piece(i, j)` gives the values for row i and column j of every window, with `overlap` rows and columns of
            zeros on every side.
        window: rows and columns of the windows, in pixels.
        strides: pixels from one window to the next, down and across.
        size: height and width of the maps.
        pads: pixels (before, after) rows and columns.

    Returns:
        The sums.
    """
    reach = tuple(overlap(k, s) for k, s in zip(window, strides, strict=True))
    phases = [[_phase(piece, window, strides, reach, (r, c)) for c in range(strides[1])] for r in range(strides[0])]
    y = jnp.stack([jnp.stack(row, 3) for row in phases], 2)
    y = y.reshape(y.shape[0], y.shape[1] * y.shape[2], y.shape[3] * y.shape[4], y.shape[5])
    crop = tuple((-low, n + low - have) for n, have, (low, _) in zip(size, y.shape[1:3], pads, strict=True))
    return pad(y, (crop[0], crop[1]))


def _phase(
    piece: Callable[[int, int], Float[Array, "B h w C"]],
    window: tuple[int, int],
    strides: tuple[int, int],
    reach: tuple[int, ...],
    at: tuple[int, int],
) -> Float[Array, "B h w C"]:
    """Return the pixels at row `at[0]` and column `at[1]` of every stride: a sum over the windows that cover them."""
    total = None
    for a in range(reach[0] + 1):
        for b in range(reach[1] + 1):
            i, j = at[0] + a * strides[0], at[1] + b * strides[1]
            shifted = piece(min(i, window[0] - 1), min(j, window[1] - 1))
            rows, columns = (n - r for n, r in zip(shifted.shape[1:3], reach, strict=True))
            shifted = shifted[:, reach[0] - a :, reach[1] - b :][:, :rows, :columns]
            if i < window[0] and j < window[1]:
                total = shifted if total is None else total + shifted
            elif total is None:
                total = jnp.zeros_like(shifted)
    assert total is not None
    return total
