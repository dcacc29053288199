"""Transposed convolution on a CPU by convolutions of stride 1 and matrix products.

XLA runs convolutions of a map with zeros between its pixels, and their gradients, as scalar loops.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxvision.ops import windows
from jaxvision.ops.convolution import conv_general_dilated
from jaxvision.ops.cpu.blocks import from_blocks
from jaxvision.ops.cpu.convolution import spread
from jaxvision.ops.upsampling import Steps

_NHWC = ("NHWC", "HWIO", "NHWC")
_MANY_OUTPUTS = 256
_MANY_CHANNELS = 64


def transposed(x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], at: Steps) -> Float[Array, "B h w O"]:
    """Return `ops.upsampling.transposed`: convolutions of stride 1 give the strides² pixels of every cell.

    To many channels each place within a cell takes its own convolution, to few channels all places share one:
    64×4×4×1024 to 512 channels, 4×4/2, takes 131 ms in one and 84 ms apart; 64×32×32×128 to 3 channels 12 and 42 ms.

    Args:
        x: the maps.
        kernel: the kernels.
        at: where the kernels lie in the output.

    Returns:
        The larger maps.
    """
    if kernel.shape[3] >= _MANY_OUTPUTS and min(kernel.shape[:2]) > at.strides:
        return spread(x, kernel, (at.strides,) * 2, (at.padding,) * 2, at.sizes(x.shape[1:3], kernel.shape[:2]))
    return _at_once(x, kernel, at)


def gradients(
    x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], dy: Float[Array, "B h w O"], at: Steps
) -> tuple[Float[Array, "B H W C"], Float[Array, "K L C O"]]:
    """Return the gradients of `transposed`: for wide kernels over many channels by convolution, else from patches.

    64×16×16×256 to 128 channels, 4×4/2: 181 and 216 ms; 2×128×128×128 to 64 channels, 2×2/2: 57 and 33 ms.

    Args:
        x: the maps.
        kernel: the kernels.
        dy: the gradient in the larger maps.
        at: where the kernels lie in the output.

    Returns:
        The gradient in `x` and the gradient in `kernel`.
    """
    wide = min(kernel.shape[:2]) > at.strides and min(kernel.shape[2:]) >= _MANY_CHANNELS
    return (_convolved if wide else _products)(x, kernel, dy, at)


def _at_once(x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], at: Steps) -> Float[Array, "B h w O"]:
    """Take one convolution whose channels are the pixels of a cell; it also gives pixels that are then cut off."""
    channels, s = x.shape[3], at.strides
    taps = [-(-k // s) for k in kernel.shape[:2]]
    grown = [(0, t * s - k) for t, k in zip(taps, kernel.shape[:2], strict=True)]
    split = jnp.pad(kernel, (*grown, (0, 0), (0, 0)))
    split = split.reshape(taps[0], s, taps[1], s, channels, -1)[::-1, :, ::-1]
    cells = split.transpose(0, 2, 4, 1, 3, 5).reshape(taps[0], taps[1], channels, -1)
    y = conv_general_dilated(x, cells, (1, 1), [(t - 1, t - 1) for t in taps], dimension_numbers=_NHWC)
    y = from_blocks(y, (s, s))
    height, width = at.sizes(x.shape[1:3], kernel.shape[:2])
    far = (height - y.shape[1] + at.padding, width - y.shape[2] + at.padding)
    return windows.pad(y, ((-at.padding, far[0]), (-at.padding, far[1])))


def _convolved(
    x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], dy: Float[Array, "B h w O"], at: Steps
) -> tuple[Float[Array, "B H W C"], Float[Array, "K L C O"]]:
    """Return both gradients from the convolution of which the transposed convolution is the adjoint."""

    def convolve(kernel: Float[Array, "K L C O"]) -> Float[Array, "B H W C"]:
        taps, pads = (
            kernel.transpose(0, 1, 3, 2),
            [(at.padding, f) for f in _reach(x.shape, kernel.shape, dy.shape, at)],
        )
        return conv_general_dilated(dy, taps, (at.strides, at.strides), pads, dimension_numbers=_NHWC)

    dx, pullback = jax.vjp(convolve, kernel)
    return dx, pullback(x)[0]


def _products(
    x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], dy: Float[Array, "B h w O"], at: Steps
) -> tuple[Float[Array, "B H W C"], Float[Array, "K L C O"]]:
    """Return both gradients, from the patch of `dy` that each value was multiplied into, as two matrix products.

    4×28×28×128 to 64 channels, 4×4/2: 22 ms; as the derivative of the plain form 700 ms, of `_at_once` 1600 ms.
    """
    size, (channels, outputs) = kernel.shape[:2], kernel.shape[2:]
    far = _reach(x.shape, kernel.shape, dy.shape, at)
    padded = windows.pad(dy, ((at.padding, far[0]), (at.padding, far[1])))
    views = windows.views(padded, (size[0], size[1]), (at.strides, at.strides))
    patches = jnp.stack([view for row in views for view in row], 3).reshape(-1, size[0] * size[1] * outputs)
    matrix = kernel.transpose(2, 0, 1, 3).reshape(channels, -1)
    dx = jnp.dot(patches, matrix.T, precision=lax.Precision.HIGHEST)
    dkernel = jnp.dot(x.reshape(-1, channels).T, patches, precision=lax.Precision.HIGHEST)
    return dx.reshape(x.shape), dkernel.reshape(channels, *size, outputs).transpose(1, 2, 0, 3)


def _reach(map_: tuple[int, ...], kernel: tuple[int, ...], output: tuple[int, ...], at: Steps) -> list[int]:
    """Return how many pixels the last kernels reach below and to the right of the output."""
    sides = zip(map_[1:3], kernel[:2], output[1:3], strict=True)
    return [(n - 1) * at.strides + k - at.padding - m for n, k, m in sides]
