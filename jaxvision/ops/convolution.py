"""Convolution in the form that is fastest on the platform, with the meaning of `jax.lax.conv_general_dilated`.

Accelerators take lax's own. On a CPU, float32 maps go through matrix products where that is faster: 1×1 kernels as one
product, 3×3 kernels of stride 1 by Winograd's algorithm or, from few channels to few, over blocks of four pixels, a
kernel three strides wide over few channels as 3×3 over blocks. For the rest, XLA's call of Eigen (see `run.xla`)
beat products over patches, values and gradients alike.
"""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
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
_FEW_OUTPUTS = 16
_MANY_GROUPS = 4
_WINOGRAD_CHANNELS = 32
_WIDE = 128  # channels from which a gradient goes through `spread`

_as_lax = contextvars.ContextVar("as_lax", default=False)


@contextlib.contextmanager
def as_lax() -> Iterator[None]:
    """What is traced inside takes lax's convolutions: for programs that run elsewhere, or on batches of any size."""
    token = _as_lax.set(True)
    try:
        yield
    finally:
        _as_lax.reset(token)


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
        not _as_lax.get()
        and lhs.dtype == rhs.dtype == jnp.float32
        and numbers == _NHWC
        and all(d == 1 for d in (*(lhs_dilation or ()), *(rhs_dilation or ()), batch_group_count))
        and feature_group_count <= _MANY_GROUPS
        and preferred_element_type in (None, jnp.float32)
        and min(lhs.size, rhs.size) > 0
    )
    if ours and not isinstance(padding, str):
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


# jit, here and below: traced once for all layers of one shape, since Winograd's transforms are some hundred operations.
@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
@partial(jax.jit, static_argnums=(2, 3, 4, 5))
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


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _backward(
    strides: Strides, pads: Pads, groups: int, precision: Any, residuals: tuple[Array, Array], dy: Array
) -> tuple[Array, Array]:
    def pullback(form: Any, **settings: Any) -> Any:
        return lambda x, kernel, dy: jax.vjp(partial(form, strides=strides, pads=pads, **settings), x, kernel)[1](dy)

    shape = residuals[1].shape
    ours = pullback(_lax_form if _from_few_to_few(shape, strides) else _matrix_form, groups=groups)
    if groups == 1 and _in_whole_strides(shape, strides) and min(shape[2:]) >= _WIDE:
        ours = partial(_pullback_apart, strides=strides, pads=pads)
    default = pullback(_lax_form, groups=groups, precision=precision)
    return lax.platform_dependent(*residuals, dy, cpu=ours, default=default)


def _pullback_apart(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "K L C O"],
    dy: Float[Array, "B h w O"],
    strides: Strides,
    pads: Pads,
) -> tuple[Float[Array, "B H W C"], Float[Array, "K L C O"]]:
    """Both gradients. 64×32×32×128 to 256 channels, 4×4/2: the first one in 94 ms, 111 as lax has it."""
    dx = spread(dy, kernel.transpose(0, 1, 3, 2), strides, (pads[0][0], pads[1][0]), (x.shape[1], x.shape[2]))
    return dx, jax.vjp(lambda k: _matrix_form(x, k, strides, pads), kernel)[1](dy)[0]


_convolve.defvjp(_forward, _backward)


def _lax_form(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "K L c O"],
    strides: Strides,
    pads: Pads,
    groups: int = 1,
    precision: Any = None,
) -> Float[Array, "B h w O"]:
    """lax's own, handed pads from 0 to k - 1 only, which its gradients turn into others of the same range.

    Given pads of both signs, XLA's call of Eigen reads beyond the map.
    """
    rows, columns = (
        (min(max(a, 0), k - 1), min(max(b, 0), k - 1)) for (a, b), k in zip(pads, kernel.shape, strict=False)
    )
    if (rows, columns) != pads:
        x = windows.pad(x, (_beyond(pads[0], rows), _beyond(pads[1], columns)))
    return lax.conv_general_dilated(
        x, kernel, strides, (rows, columns), None, None, _NHWC, feature_group_count=groups, precision=precision
    )


def _matrix_form(
    x: Float[Array, "B H W C"], kernel: Float[Array, "K L c O"], strides: Strides, pads: Pads, groups: int = 1
) -> Float[Array, "B h w O"]:
    """The form that was fastest on two AVX-512 cores for the sizes of the classic networks."""
    size, channels = kernel.shape[:2], kernel.shape[2:]
    if groups > 1:
        parts = zip(jnp.split(x, groups, 3), jnp.split(kernel, groups, 3), strict=True)
        return jnp.concatenate([_matrix_form(a, b, strides, pads) for a, b in parts], 3)
    axes = zip(x.shape[1:3], size, strides, pads, strict=True)
    (top, bottom), (left, right) = (_taps_that_meet(*axis) for axis in axes)
    if (bottom - top, right - left) != size:
        rows = (pads[0][0] - top, pads[0][1] - (size[0] - bottom))
        columns = (pads[1][0] - left, pads[1][1] - (size[1] - right))
        return _matrix_form(x, kernel[top:bottom, left:right], strides, (rows, columns))
    if size == (1, 1):
        return _pointwise(windows.pad(x, pads)[:, :: strides[0], :: strides[1]], kernel)
    if strides != (1, 1) and channels[0] <= _FEW_CHANNELS and _in_strides(size, strides) == (3, 3):
        return _space_to_depth(x, kernel, strides, pads)
    if size == (3, 3) and strides == (1, 1) and min(channels) >= _WINOGRAD_CHANNELS:
        return winograd.conv3x3(windows.pad(x, pads), kernel)
    if _from_few_to_few(kernel.shape, strides):
        return _four_at_once(x, kernel, pads)
    return _lax_form(x, kernel, strides, pads)


def spread(
    x: Float[Array, "B h w O"],
    kernel: Float[Array, "K L O C"],
    strides: Strides,
    lows: tuple[int, int],
    size: tuple[int, int],
) -> Float[Array, "B H W C"]:
    """The adjoint of a strided convolution: every value adds its multiple of the kernel to a map of `size`.

    `lows` are the pads above and left. Pixels at the same place within a stride are reached by the same part of the
    kernel: a convolution of stride 1 for each such place.
    """
    cells = [-(-n // s) for n, s in zip(size, strides, strict=True)]

    def pixels(*place: int) -> Float[Array, "B h w C"]:
        offsets, firsts = zip(
            *(divmod(p + low, s) for p, low, s in zip(place, lows, strides, strict=True)), strict=True
        )
        taps = kernel[firsts[0] :: strides[0], firsts[1] :: strides[1]][::-1, ::-1]
        counts = zip(taps.shape[:2], offsets, cells, x.shape[1:3], strict=True)
        rows, columns = ((t - 1 - o, c + o - n) for t, o, c, n in counts)
        return _matrix_form(x, taps, (1, 1), (rows, columns))

    y = jnp.stack([jnp.stack([pixels(r, c) for c in range(strides[1])], 3) for r in range(strides[0])], 2)
    y = y.reshape(len(x), cells[0] * strides[0], cells[1] * strides[1], -1)
    return y[:, : size[0], : size[1]]


def _taps_that_meet(n: int, k: int, stride: int, pad: tuple[int, int]) -> tuple[int, int]:
    """Of a kernel's k taps along one axis, the range outside of which all lie on the padding, wherever the kernel is.

    On a map of one pixel that leaves the middle of a 3×3 kernel, on two pixels in a stride of two 2×2 of it.
    """
    starts = range(-pad[0], windows.count(n, k, stride, pad) * stride - pad[0], stride)
    met = [tap for tap in range(k) if any(0 <= start + tap < n for start in starts)]
    return (met[0], met[-1] + 1) if met else (0, k)


def _beyond(pad: tuple[int, int], near: tuple[int, int]) -> tuple[int, int]:
    return pad[0] - near[0], pad[1] - near[1]


def _in_whole_strides(shape: tuple[int, ...], strides: Strides) -> bool:
    """Whether a kernel is several strides long, without a rest."""
    return strides != (1, 1) and all(k > s and k % s == 0 for k, s in zip(shape, strides, strict=False))


def _from_few_to_few(shape: tuple[int, ...], strides: Strides) -> bool:
    return (*shape[:2], *strides) == (3, 3, 1, 1) and shape[2] <= _FEW_CHANNELS and shape[3] <= _FEW_OUTPUTS


def _in_strides(size: tuple[int, ...], strides: Strides) -> tuple[int, ...]:
    """How many strides a kernel spans."""
    return tuple(-(-k // s) for k, s in zip(size, strides, strict=True))


def _pointwise(x: Float[Array, "B H W C"], kernel: Float[Array, "1 1 C O"]) -> Float[Array, "B H W O"]:
    y = jnp.dot(x.reshape(-1, x.shape[3]), kernel[0, 0], precision=lax.Precision.HIGHEST)
    return y.reshape(*x.shape[:3], -1)


def _space_to_depth(
    x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], strides: Strides, pads: Pads
) -> Float[Array, "B h w O"]:
    """The same convolution with stride 1 over blocks of `strides` pixels, the kernel padded to whole blocks."""
    taps = _in_strides(kernel.shape[:2], strides)
    counts = [
        windows.count(n, k, s, p) for n, k, s, p in zip(x.shape[1:3], kernel.shape[:2], strides, pads, strict=True)
    ]
    blocks = [n + k - 1 for n, k in zip(counts, taps, strict=True)]
    high = [b * s - n - p[0] for b, s, n, p in zip(blocks, strides, x.shape[1:3], pads, strict=True)]
    x = windows.pad(x, ((pads[0][0], high[0]), (pads[1][0], high[1])))
    x = _blocks(x, strides)
    grown = [(0, k * s - n) for k, s, n in zip(taps, strides, kernel.shape[:2], strict=True)]
    kernel = _kernel_blocks(jnp.pad(kernel, (*grown, (0, 0), (0, 0))), strides)
    return _matrix_form(x, kernel, (1, 1), ((0, 0), (0, 0)))


def _four_at_once(x: Float[Array, "B H W C"], kernel: Float[Array, "3 3 C O"], pads: Pads) -> Float[Array, "B h w O"]:
    """A 3×3 convolution as one of 2×2 blocks of 2×2 pixels, which gives the outputs of four pixels at once.

    Four times as many outputs are what Eigen multiplies well, though of the wider kernel 7/16 are zeros:
    32×128×128×3 to 8 channels in 13 ms of a core, 34 as lax has it. Its gradients are no faster so.
    """
    height, width = (windows.count(n, 3, 1, pad) for n, pad in zip(x.shape[1:3], pads, strict=True))
    x = windows.pad(x, ((pads[0][0], pads[0][1] + height % 2), (pads[1][0], pads[1][1] + width % 2)))
    moved = [jnp.pad(kernel, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i in range(2) for j in range(2)]
    wide = _kernel_blocks(jnp.concatenate(moved, 3), (2, 2))
    y = _lax_form(_blocks(x, (2, 2)), wide, (1, 1), ((0, 0), (0, 0)))
    return from_blocks(y, (2, 2))[:, :height, :width]


def from_blocks(x: Float[Array, "B h w c"], strides: Strides) -> Float[Array, "B H W C"]:
    """The map whose blocks of `strides` pixels are the channels of `x`, in row order."""
    batch, rows, columns, channels = x.shape
    s, t = strides
    x = x.reshape(batch, rows, columns, s, t, channels // (s * t)).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, s * rows, t * columns, channels // (s * t))


def _kernel_blocks(kernel: Float[Array, "K L C O"], strides: Strides) -> Float[Array, "k l c O"]:
    return _blocks(kernel.transpose(3, 0, 1, 2), strides).transpose(1, 2, 3, 0)


def _blocks(x: Float[Array, "B H W C"], strides: Strides) -> Float[Array, "B h w c"]:
    batch, height, width, channels = x.shape
    s, t = strides
    x = x.reshape(batch, height // s, s, width // t, t * channels)
    return x.transpose(0, 1, 3, 2, 4).reshape(batch, height // s, width // t, s * t * channels)
