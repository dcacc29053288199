"""Convolution in the form that is fastest on the platform, with the meaning of `jax.lax.conv_general_dilated`.

Accelerators take lax's own. On a CPU, XLA's convolutions (and above all their gradients) are slow for most shapes, so
float32 maps go through matrix products: 1×1 kernels as one, 3×3 kernels of stride 1 by Winograd's algorithm, kernels
over few channels as smaller kernels over more (space to depth), and other gradients over patches.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxvision.ops import windows, winograd
from jaxvision.ops.windows import Pads

Strides = tuple[int, int]
_NHWC = lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
_FEW_CHANNELS = 4
_MANY_GROUPS = 4
_WINOGRAD_CHANNELS = 32


def conv_general_dilated(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Array:
    """`jax.lax.conv_general_dilated`; differentiable in reverse mode only where it takes a form of its own."""
    numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    ours = (
        lhs.dtype == rhs.dtype == jnp.float32
        and numbers == _NHWC
        and not isinstance(padding, str)
        and all(d == 1 for d in (*(lhs_dilation or ()), *(rhs_dilation or ()), batch_group_count))
        and feature_group_count <= _MANY_GROUPS
        and preferred_element_type in (None, jnp.float32)
        and min(lhs.size, rhs.size) > 0
    )
    if ours:
        strides, pads = tuple(window_strides), tuple((int(a), int(b)) for a, b in padding)
        if all(n + sum(p) >= k for n, p, k in zip(lhs.shape[1:3], pads, rhs.shape[:2], strict=True)):
            return _convolve(lhs, rhs, strides, pads, feature_group_count, precision)
    return lax.conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        dimension_numbers,
        feature_group_count,
        batch_group_count,
        precision,
        preferred_element_type,
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _convolve(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "K L c O"],
    strides: Strides,
    pads: Pads,
    groups: int,
    precision: Any,
) -> Float[Array, "B h w O"]:
    return lax.platform_dependent(
        x,
        kernel,
        cpu=partial(_matrix_form, strides=strides, pads=pads, groups=groups),
        default=partial(_lax_form, strides=strides, pads=pads, groups=groups, precision=precision),
    )


def _forward(x: Array, kernel: Array, *settings: Any) -> tuple[Array, tuple[Array, Array]]:
    return _convolve(x, kernel, *settings), (x, kernel)


def _backward(
    strides: Strides, pads: Pads, groups: int, precision: Any, residuals: tuple[Array, Array], dy: Array
) -> tuple[Array, Array]:
    def pullback(form: Any, **settings: Any) -> Any:
        return lambda x, kernel, dy: jax.vjp(partial(form, strides=strides, pads=pads, **settings), x, kernel)[1](dy)

    return lax.platform_dependent(
        *residuals,
        dy,
        cpu=pullback(_matrix_form, groups=groups),
        default=pullback(_lax_form, groups=groups, precision=precision),
    )


_convolve.defvjp(_forward, _backward)


def _lax_form(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "K L c O"],
    strides: Strides,
    pads: Pads,
    groups: int = 1,
    precision: Any = None,
) -> Float[Array, "B h w O"]:
    return lax.conv_general_dilated(
        x, kernel, strides, pads, None, None, _NHWC, feature_group_count=groups, precision=precision
    )


def _matrix_form(
    x: Float[Array, "B H W C"], kernel: Float[Array, "K L c O"], strides: Strides, pads: Pads, groups: int = 1
) -> Float[Array, "B h w O"]:
    """The form that was fastest on two AVX-512 cores for the sizes of the classic networks."""
    if groups > 1:
        parts = zip(jnp.split(x, groups, 3), jnp.split(kernel, groups, 3), strict=True)
        return jnp.concatenate([_matrix_form(a, b, strides, pads) for a, b in parts], 3)
    size, channels = kernel.shape[:2], kernel.shape[2:]
    if channels[0] <= _FEW_CHANNELS and strides != (1, 1):
        return _space_to_depth(x, kernel, strides, pads)
    if size == (1, 1):
        return _pointwise(windows.pad(x, pads)[:, :: strides[0], :: strides[1]], kernel)
    if size == (3, 3) and strides == (1, 1) and min(channels) >= _WINOGRAD_CHANNELS:
        return winograd.conv3x3(windows.pad(x, pads), kernel)
    return _direct(x, kernel, strides, pads)


def _pointwise(x: Float[Array, "B H W C"], kernel: Float[Array, "1 1 C O"]) -> Float[Array, "B H W O"]:
    y = jnp.dot(x.reshape(-1, x.shape[3]), kernel[0, 0], precision=lax.Precision.HIGHEST)
    return y.reshape(*x.shape[:3], -1)


def _space_to_depth(
    x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], strides: Strides, pads: Pads
) -> Float[Array, "B h w O"]:
    """The same convolution with stride 1 over blocks of `strides` pixels, the kernel padded to whole blocks."""
    taps = [-(-k // s) for k, s in zip(kernel.shape[:2], strides, strict=True)]
    counts = [
        windows.count(n, k, s, p) for n, k, s, p in zip(x.shape[1:3], kernel.shape[:2], strides, pads, strict=True)
    ]
    blocks = [n + k - 1 for n, k in zip(counts, taps, strict=True)]
    high = [b * s - n - p[0] for b, s, n, p in zip(blocks, strides, x.shape[1:3], pads, strict=True)]
    x = windows.pad(x, ((pads[0][0], high[0]), (pads[1][0], high[1])))
    x = _blocks(x, strides)
    grown = [(0, k * s - n) for k, s, n in zip(taps, strides, kernel.shape[:2], strict=True)]
    kernel = _blocks(jnp.pad(kernel, (*grown, (0, 0), (0, 0))).transpose(3, 0, 1, 2), strides).transpose(1, 2, 3, 0)
    return _matrix_form(x, kernel, (1, 1), ((0, 0), (0, 0)))


def _blocks(x: Float[Array, "B H W C"], strides: Strides) -> Float[Array, "B h w c"]:
    batch, height, width, channels = x.shape
    s, t = strides
    x = x.reshape(batch, height // s, s, width // t, t * channels)
    return x.transpose(0, 1, 3, 2, 4).reshape(batch, height // s, width // t, s * t * channels)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _direct(
    x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], strides: Strides, pads: Pads
) -> Float[Array, "B h w O"]:
    return _lax_form(x, kernel, strides, pads)


def _direct_forward(x: Array, kernel: Array, strides: Strides, pads: Pads) -> tuple[Array, tuple[Array, Array]]:
    return _direct(x, kernel, strides, pads), (x, kernel)


def _direct_backward(
    strides: Strides, pads: Pads, residuals: tuple[Array, Array], dy: Float[Array, "B h w O"]
) -> tuple[Float[Array, "B H W C"], Float[Array, "K L C O"]]:
    x, kernel = residuals
    return _input_gradient(dy, kernel, strides, pads, x.shape), _kernel_gradient(x, dy, kernel.shape, strides, pads)


_direct.defvjp(_direct_forward, _direct_backward)


def _kernel_gradient(
    x: Float[Array, "B H W C"], dy: Float[Array, "B h w O"], shape: tuple[int, ...], strides: Strides, pads: Pads
) -> Float[Array, "K L C O"]:
    """One matrix product for each row of the kernel; XLA would transpose both maps to convolve them."""
    flat = dy.reshape(-1, dy.shape[3])
    rows = [
        jnp.dot(jnp.concatenate(row, 3).reshape(flat.shape[0], -1).T, flat, precision=lax.Precision.HIGHEST)
        for row in windows.views(windows.pad(x, pads), (shape[0], shape[1]), strides)
    ]
    return jnp.stack(rows).reshape(shape)


def _input_gradient(
    dy: Float[Array, "B h w O"], kernel: Float[Array, "K L C O"], strides: Strides, pads: Pads, shape: tuple[int, ...]
) -> Float[Array, "B H W C"]:
    size = kernel.shape[:2]
    if strides == (1, 1):
        around = tuple((k - 1 - low, k - 1 - high) for k, (low, high) in zip(size, pads, strict=True))
        return _lax_form(dy, kernel[::-1, ::-1].swapaxes(2, 3), strides, (around[0], around[1]))
    taps = kernel.reshape(-1, kernel.shape[3])
    patches = jnp.dot(dy.reshape(-1, dy.shape[3]), taps.T, precision=lax.Precision.HIGHEST)
    reach = [windows.overlap(k, s) for k, s in zip(size, strides, strict=True)]
    patches = windows.pad(patches.reshape(*dy.shape[:3], -1), ((reach[0], reach[0]), (reach[1], reach[1])))
    channels = shape[3]

    def piece(i: int, j: int) -> Float[Array, "B h w C"]:
        start = (i * size[1] + j) * channels
        return patches[..., start : start + channels]

    return windows.fold(piece, (size[0], size[1]), strides, (shape[1], shape[2]), pads)
