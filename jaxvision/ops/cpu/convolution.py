"""Convolution of float32 maps on a CPU by matrix products, where these are faster than XLA's call of Eigen.

1×1 kernels are one product. 3×3 kernels of stride 1 go by Winograd's algorithm, large ones where the maps have many
tiles, or, from few channels to few, over blocks of four pixels. Kernels three strides wide over few channels go as 3×3
over blocks. All others are left to lax: XLA's call of Eigen (see `run.xla`) beat products over patches, values and
gradients alike.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxvision.ops import convolution, windows
from jaxvision.ops.convolution import Strides
from jaxvision.ops.cpu import winograd
from jaxvision.ops.cpu.blocks import from_blocks, kernel_to_blocks, to_blocks
from jaxvision.ops.windows import Pads

_FEW_CHANNELS = 4
_FEW_OUTPUTS = 16
_WINOGRAD_CHANNELS = 32
_WINOGRAD_TILES = 48  # from which the kernel's transform, made anew in each call, is repaid: benchmarks/winograd.py
_SMALL_KERNEL = 2**12  # channels × outputs up to which it is repaid by a few tiles, since it stays in the cache
_WIDE = 128  # channels from which the gradient in the maps goes through `spread`


def convolve(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "K L c O"],
    strides: Strides,
    pads: Pads,
    groups: int = 1,
    precision: Any = None,
) -> Float[Array, "B h w O"]:
    """Return `ops.convolution.convolve` in the form that was fastest on two cores for the classic networks.

    Args:
        x: the maps.
        kernel: the kernels; c is C / groups.
        strides: the steps of the kernel along rows and columns, in pixels.
        pads: pixels of zeros (before, after) rows and columns; negative ones crop.
        groups: into how many groups the channels are cut.
        precision: ignored; products on a CPU are float32's.

    Returns:
        The output maps.
    """
    return _convolve(x, kernel, strides, pads, groups, _WINOGRAD_TILES)


def _convolve(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "K L c O"],
    strides: Strides,
    pads: Pads,
    groups: int,
    least_tiles: int,
) -> Float[Array, "B h w O"]:
    """Do what `convolve` does; large 3×3 kernels go by Winograd's algorithm from `least_tiles` tiles on."""
    size, channels = kernel.shape[:2], kernel.shape[2:]
    if groups > 1:
        parts = zip(jnp.split(x, groups, 3), jnp.split(kernel, groups, 3), strict=True)
        return jnp.concatenate([_convolve(a, b, strides, pads, 1, least_tiles) for a, b in parts], 3)
    axes = zip(x.shape[1:3], size, strides, pads, strict=True)
    (top, bottom), (left, right) = (_taps_on_the_map(*axis) for axis in axes)
    if (bottom - top, right - left) != size:
        rows = (pads[0][0] - top, pads[0][1] - (size[0] - bottom))
        columns = (pads[1][0] - left, pads[1][1] - (size[1] - right))
        return _convolve(x, kernel[top:bottom, left:right], strides, (rows, columns), 1, least_tiles)
    if size == (1, 1):
        return _pointwise(windows.pad(x, pads)[:, :: strides[0], :: strides[1]], kernel)
    if strides != (1, 1) and channels[0] <= _FEW_CHANNELS and _in_strides(size, strides) == (3, 3):
        return _space_to_depth(x, kernel, strides, pads)
    if size == (3, 3) and strides == (1, 1) and _winograd_pays(x.shape, kernel.shape, pads, least_tiles):
        return winograd.conv3x3(windows.pad(x, pads), kernel)
    if _from_few_to_few(kernel.shape, strides):
        return _four_at_once(x, kernel, pads)
    return convolution.convolve(x, kernel, strides, pads)


def gradients(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "K L c O"],
    dy: Float[Array, "B h w O"],
    strides: Strides,
    pads: Pads,
    groups: int = 1,
    precision: Any = None,
) -> tuple[Float[Array, "B H W C"], Float[Array, "K L c O"]]:
    """Return the gradients of `convolve` in the maps and in the kernel.

    3×3 kernels of stride 1 take Winograd's algorithm for any number of tiles, since both gradients share one transform
    of `dy`: with 16 tiles and 512 channels, the two take 53 ms on two AVX2 cores, and 69 ms in lax's form.

    Wide kernels of whole strides over many channels take `spread`: from 64×32×32×128 to 256 channels, 4×4/2, the
    gradient in the maps takes 94 ms, and 111 ms in lax's form.

    Args:
        x: the maps.
        kernel: the kernels; c is C / groups.
        dy: the gradient in the output maps.
        strides: the steps of the kernel along rows and columns, in pixels.
        pads: pixels of zeros (before, after) rows and columns; negative ones crop.
        groups: into how many groups the channels are cut.
        precision: ignored; products on a CPU are float32's.

    Returns:
        The gradient in `x` and the gradient in `kernel`.
    """
    if groups == 1 and _in_whole_strides(kernel.shape, strides) and min(kernel.shape[2:]) >= _WIDE:
        lows, size = (pads[0][0], pads[1][0]), (x.shape[1], x.shape[2])
        dx = spread(dy, kernel.transpose(0, 1, 3, 2), strides, lows, size)
        return dx, jax.vjp(lambda k: _convolve(x, k, strides, pads, 1, 0), kernel)[1](dy)[0]
    few = _from_few_to_few(kernel.shape, strides)
    form = convolution.convolve if few else partial(_convolve, least_tiles=0)
    dx, dkernel = jax.vjp(partial(form, strides=strides, pads=pads, groups=groups), x, kernel)[1](dy)
    return dx, dkernel


def spread(
    x: Float[Array, "B h w O"],
    kernel: Float[Array, "K L O C"],
    strides: Strides,
    lows: tuple[int, int],
    size: tuple[int, int],
) -> Float[Array, "B H W C"]:
    """Return the adjoint of a strided convolution: every value adds its multiple of the kernel to a larger map.

    Pixels at the same place within a stride are reached by the same part of the kernel, so each such place takes one
    convolution of stride 1.

    Args:
        x: the maps whose values are spread.
        kernel: the kernels, from O channels to C.
        strides: the distance between kernels in the larger map, in pixels.
        lows: the pads of the convolution above and on the left, in pixels.
        size: height and width of the larger map.

    Returns:
        The larger map.
    """
    cells = [-(-n // s) for n, s in zip(size, strides, strict=True)]

    def pixels(*place: int) -> Float[Array, "B h w C"]:
        offsets, firsts = zip(
            *(divmod(p + low, s) for p, low, s in zip(place, lows, strides, strict=True)), strict=True
        )
        taps = kernel[firsts[0] :: strides[0], firsts[1] :: strides[1]][::-1, ::-1]
        counts = zip(taps.shape[:2], offsets, cells, x.shape[1:3], strict=True)
        rows, columns = ((t - 1 - o, c + o - n) for t, o, c, n in counts)
        return convolve(x, taps, (1, 1), (rows, columns))

    y = jnp.stack([jnp.stack([pixels(r, c) for c in range(strides[1])], 3) for r in range(strides[0])], 2)
    y = y.reshape(x.shape[0], cells[0] * strides[0], cells[1] * strides[1], y.shape[-1])
    return y[:, : size[0], : size[1]]


def _taps_on_the_map(n: int, k: int, stride: int, pad: tuple[int, int]) -> tuple[int, int]:
    """Return the first and last (exclusive) tap, along one axis, that ever touches a real pixel.

    All other taps only see padding: on a map of one pixel all but the middle of a 3×3 kernel.
    """
    starts = range(-pad[0], windows.count(n, k, stride, pad) * stride - pad[0], stride)
    met = [tap for tap in range(k) if any(0 <= start + tap < n for start in starts)]
    return (met[0], met[-1] + 1) if met else (0, k)


def _winograd_pays(shape: tuple[int, ...], kernel: tuple[int, ...], pads: Pads, least_tiles: int) -> bool:
    """Return whether a 3×3 convolution of stride 1 is faster by Winograd than in lax's form.

    Args:
        shape: the maps'.
        kernel: the kernel's.
        pads: as in `convolve`.
        least_tiles: as in `_convolve`.
    """
    rows, columns = (-(-(n + sum(pad) - 2) // winograd.TILE) for n, pad in zip(shape[1:3], pads, strict=True))
    many = shape[0] * rows * columns >= least_tiles
    return min(kernel[2:]) >= _WINOGRAD_CHANNELS and (many or kernel[2] * kernel[3] <= _SMALL_KERNEL)


def _in_whole_strides(shape: tuple[int, ...], strides: Strides) -> bool:
    """Return whether a kernel is several strides long, without a rest."""
    return strides != (1, 1) and all(k > s and k % s == 0 for k, s in zip(shape, strides, strict=False))


def _from_few_to_few(shape: tuple[int, ...], strides: Strides) -> bool:
    return (*shape[:2], *strides) == (3, 3, 1, 1) and shape[2] <= _FEW_CHANNELS and shape[3] <= _FEW_OUTPUTS


def _in_strides(size: tuple[int, ...], strides: Strides) -> tuple[int, ...]:
    """Return the number of strides that a kernel spans along each axis."""
    return tuple(-(-k // s) for k, s in zip(size, strides, strict=True))


def _pointwise(x: Float[Array, "B H W C"], kernel: Float[Array, "1 1 C O"]) -> Float[Array, "B H W O"]:
    y = jnp.dot(x.reshape(-1, x.shape[3]), kernel[0, 0], precision=lax.Precision.HIGHEST)
    return y.reshape(*x.shape[:3], -1)


def _space_to_depth(
    x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], strides: Strides, pads: Pads
) -> Float[Array, "B h w O"]:
    """Convolve with stride 1 over blocks of `strides` pixels, the kernel padded to whole blocks."""
    taps = _in_strides(kernel.shape[:2], strides)
    counts = [
        windows.count(n, k, s, p) for n, k, s, p in zip(x.shape[1:3], kernel.shape[:2], strides, pads, strict=True)
    ]
    blocks = [n + k - 1 for n, k in zip(counts, taps, strict=True)]
    high = [b * s - n - p[0] for b, s, n, p in zip(blocks, strides, x.shape[1:3], pads, strict=True)]
    x = to_blocks(windows.pad(x, ((pads[0][0], high[0]), (pads[1][0], high[1]))), strides)
    grown = [(0, k * s - n) for k, s, n in zip(taps, strides, kernel.shape[:2], strict=True)]
    kernel = kernel_to_blocks(jnp.pad(kernel, (*grown, (0, 0), (0, 0))), strides)
    return convolve(x, kernel, (1, 1), ((0, 0), (0, 0)))


def _four_at_once(x: Float[Array, "B H W C"], kernel: Float[Array, "3 3 C O"], pads: Pads) -> Float[Array, "B h w O"]:
    """Convolve with a 3×3 kernel as with one of 2×2 blocks of 2×2 pixels, which gives four pixels' outputs at once.

    Eigen is slow with few output channels. Four pixels at once give it four times as many, which pays although 7/16 of
    the wider kernel is zeros: 32×128×128×3 to 8 channels in 13 ms of a core, 34 ms in lax's form. Gradients gain
    nothing.
    """
    height, width = (windows.count(n, 3, 1, pad) for n, pad in zip(x.shape[1:3], pads, strict=True))
    x = windows.pad(x, ((pads[0][0], pads[0][1] + height % 2), (pads[1][0], pads[1][1] + width % 2)))
    moved = [jnp.pad(kernel, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i in range(2) for j in range(2)]
    wide = kernel_to_blocks(jnp.concatenate(moved, 3), (2, 2))
    y = convolution.convolve(to_blocks(x, (2, 2)), wide, (1, 1), ((0, 0), (0, 0)))
    return from_blocks(y, (2, 2))[:, :height, :width]
