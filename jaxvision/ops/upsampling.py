"""Larger maps by interpolation and by transposed convolution."""

from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32

from jaxvision.ops import windows
from jaxvision.ops.convolution import conv_general_dilated, from_blocks, spread

_NHWC = ("NHWC", "HWIO", "NHWC")
_FEW_TAPS = 32
_MANY_OUTPUTS = 256
_MANY_CHANNELS = 64


def conv_transpose(
    x: Float[Array, "B H W C"],
    kernel: Float[Array, "K L C O"],
    strides: int,
    padding: int = 0,
    output_padding: int = 0,
) -> Float[Array, "B h w O"]:
    """Transposed convolution: every value adds its multiple of the kernel to the output, `strides` pixels apart.

    Of the result `padding` pixels are cut off on every side, and `output_padding` less at the bottom and the right: a
    side of n gives (n - 1)·strides - 2·padding + K + output_padding. It is the adjoint of the convolution over O
    channels with that kernel, stride and padding; torch's ConvTranspose2d has the kernel as [C, O, K, L], not flipped
    either. Where K does not divide by `strides`, output pixels are reached by kernels in unequal number, which shows as
    a checkerboard (Odena et al. 2016). ValueError: `output_padding` of a stride or more, or nothing left.
    """
    at = _Steps(strides, padding, output_padding)
    if not 0 <= output_padding < strides:
        raise ValueError(f"conv_transpose: output_padding={output_padding} with strides={strides}, give less")
    if min(at.sizes(x.shape, kernel.shape)) < 1:
        raise ValueError(f"conv_transpose: padding={padding} cuts off all that {x.shape[1:3]} give, give less")
    return _transposed(x, kernel, at)


def bilinear_kernel(stride: int) -> Float32[np.ndarray, "k k"]:
    """Weights of a transposed convolution that interpolates by a factor of `stride`; k = 2·stride - stride mod 2."""
    size = 2 * stride - stride % 2
    center = (size - 1) / 2
    ramp = 1 - np.abs(np.arange(size) - center) / stride
    return np.outer(ramp, ramp).astype(np.float32)


def bilinear_init(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Float[Array, "k k C O"]:
    """An initializer: each channel interpolated into the channel of its number, by (k + 1) // 2 (Long et al. 2015).

    ValueError: a kernel that interpolates by no whole factor.
    """
    weights = bilinear_kernel((shape[0] + 1) // 2)
    if weights.shape != shape[:2]:
        raise ValueError(f"bilinear_init: a kernel of {shape[:2]}; for a factor s give the side 2·s - s mod 2")
    kernel = np.zeros(shape)
    channel = np.arange(min(shape[2:]))
    kernel[:, :, channel, channel] = weights[:, :, None]
    return jnp.asarray(kernel, dtype)


def interpolate(x: Float[Array, "B H W C"], factor: int, padding: int = 0) -> Float[Array, "B h w C"]:
    """`conv_transpose` of each channel alone with `bilinear_kernel(factor)`, which is fixed."""
    rows, columns = (_ramps(n, factor, padding) for n in x.shape[1:3])
    return _between(x, rows, columns)


def resize_bilinear(
    x: Float[Array, "B H W C"], size: tuple[int, int], *, align_corners: bool = False
) -> Float[Array, "B h w C"]:
    """Bilinear interpolation to `size` (height, width), without antialiasing where that is smaller.

    With `align_corners` the centres of the corner pixels coincide, else the corners of the maps do, and the values go
    on beyond the outermost centres.
    """
    rows, columns = (_weights(old, new, align_corners) for old, new in zip(x.shape[1:3], size, strict=True))
    return _between(x, rows, columns)


def _ramps(length: int, factor: int, padding: int) -> Float[np.ndarray, "n o"]:
    """[to, from] of a transposed convolution along one axis."""
    size = 2 * factor - factor % 2
    center = np.arange(length) * factor + (size - 1) / 2
    at = np.arange((length - 1) * factor + size)[padding : (length - 1) * factor + size - padding]
    return np.maximum(0, 1 - np.abs(at[:, None] - center[None]) / factor)


def _weights(old: int, new: int, align_corners: bool) -> Float[np.ndarray, "n o"]:
    """[to, from] of an interpolation along one axis."""
    if align_corners:
        at = np.arange(new) * ((old - 1) / (new - 1) if new > 1 else 0.0)
    else:
        at = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(old)[None]))


def _between(
    x: Float[Array, "B H W C"], rows: Float[np.ndarray, "h H"], columns: Float[np.ndarray, "w W"]
) -> Float[Array, "B h w C"]:
    return _along(_along(x.astype(jnp.float32), rows, 1), columns, 2).astype(x.dtype)


def _along(x: Float32[Array, "B H W C"], weights: Float[np.ndarray, "n o"], axis: int) -> Float32[Array, "B h w C"]:
    """weights · x along one axis. The gradient is the same with the weights transposed, in the same fast form."""
    forms = {"default": partial(_product, weights=weights, axis=axis)}
    starts, taps = _band(weights)
    if taps.shape[1] <= _FEW_TAPS:
        forms["cpu"] = partial(_banded, starts=starts, taps=taps, axis=axis)

    @jax.custom_vjp
    def apply(x: Float32[Array, "B H W C"]) -> Float32[Array, "B h w C"]:
        return lax.platform_dependent(x, **forms)

    apply.defvjp(lambda x: (apply(x), None), lambda _, dy: (_along(dy, weights.T, axis),))
    return apply(x)


def _product(x: Float32[Array, "B H W C"], weights: Float[np.ndarray, "n o"], axis: int) -> Float32[Array, "B h w C"]:
    form = "pi,bijc->bpjc" if axis == 1 else "qj,bijc->biqc"
    return jnp.einsum(form, jnp.asarray(weights, jnp.float32), x, precision=lax.Precision.HIGHEST)


def _band(weights: Float[np.ndarray, "n o"]) -> tuple[np.ndarray, Float[np.ndarray, "n t"]]:
    """Where the weights of each row begin, and as many as the longest row has."""
    count = max(int((weights != 0).sum(1).max()), 1)
    starts = np.minimum((weights != 0).argmax(1), weights.shape[1] - count)
    return starts, np.take_along_axis(weights, starts[:, None] + np.arange(count)[None], 1)


def _banded(
    x: Float32[Array, "B H W C"], starts: np.ndarray, taps: Float[np.ndarray, "n t"], axis: int
) -> Float32[Array, "B h w C"]:
    """One fused loop over the few weights that are not 0: 2×45×60×21 to 360×480 in 33 ms, 99 ms as products."""
    shape = [-1 if a == axis else 1 for a in range(4)]
    terms = (
        jnp.take(x, starts + t, axis, mode="clip") * jnp.asarray(taps[:, t], jnp.float32).reshape(shape)
        for t in range(taps.shape[1])
    )
    return reduce(jnp.add, terms)


class _Steps(NamedTuple):
    """Where kernels lie in the output: static, so hashable."""

    strides: int
    padding: int
    output_padding: int

    def sizes(self, map_: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of the output."""
        height, width = (
            (n - 1) * self.strides - 2 * self.padding + k + self.output_padding
            for n, k in zip(map_[1:3], kernel[:2], strict=True)
        )
        return height, width

    def far(self, map_: tuple[int, ...], kernel: tuple[int, ...], output: tuple[int, ...]) -> list[int]:
        """How many pixels the last kernels reach below and to the right of the output."""
        return [
            (n - 1) * self.strides + k - self.padding - m
            for n, k, m in zip(map_[1:3], kernel[:2], output[1:3], strict=True)
        ]


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _transposed(x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], at: _Steps) -> Float[Array, "B h w O"]:
    return lax.platform_dependent(x, kernel, cpu=partial(_phases, at=at), default=partial(_dilated, at=at))


def _forward(x: Array, kernel: Array, at: _Steps) -> tuple[Array, tuple[Array, Array]]:
    return _transposed(x, kernel, at), (x, kernel)


def _backward(at: _Steps, residuals: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    def pullback(x: Array, kernel: Array, dy: Array) -> tuple[Array, Array]:
        dx, dkernel = jax.vjp(partial(_dilated, at=at), x, kernel)[1](dy)
        return dx, dkernel

    return lax.platform_dependent(*residuals, dy, cpu=partial(_gradients, at=at), default=pullback)


_transposed.defvjp(_forward, _backward)


def _dilated(x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], at: _Steps) -> Float[Array, "B h w O"]:
    pads = [(k - 1 - at.padding, k - 1 - at.padding + at.output_padding) for k in kernel.shape[:2]]
    dilation = (at.strides, at.strides)
    return lax.conv_general_dilated(x, kernel[::-1, ::-1], (1, 1), pads, lhs_dilation=dilation, dimension_numbers=_NHWC)


def _phases(x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], at: _Steps) -> Float[Array, "B h w O"]:
    """Convolutions of stride 1 give the strides² pixels of every cell, which are then laid out.

    64×4×4×1024 to 512 channels, 4×4/2: 131 ms at once, 84 ms apart; 64×32×32×128 to 3 channels 12 and 42 ms.
    """
    if kernel.shape[3] >= _MANY_OUTPUTS and min(kernel.shape[:2]) > at.strides:
        return spread(x, kernel, (at.strides,) * 2, (at.padding,) * 2, at.sizes(x.shape, kernel.shape))
    return _phases_at_once(x, kernel, at)


def _phases_at_once(x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], at: _Steps) -> Float[Array, "B h w O"]:
    """One convolution whose channels are the pixels of a cell; it also gives pixels that are then cut off."""
    channels, s = x.shape[3], at.strides
    taps = [-(-k // s) for k in kernel.shape[:2]]
    grown = [(0, t * s - k) for t, k in zip(taps, kernel.shape[:2], strict=True)]
    split = jnp.pad(kernel, (*grown, (0, 0), (0, 0)))
    split = split.reshape(taps[0], s, taps[1], s, channels, -1)[::-1, :, ::-1]
    cells = split.transpose(0, 2, 4, 1, 3, 5).reshape(taps[0], taps[1], channels, -1)
    y = conv_general_dilated(x, cells, (1, 1), [(t - 1, t - 1) for t in taps], dimension_numbers=_NHWC)
    y = from_blocks(y, (s, s))
    height, width = at.sizes(x.shape, kernel.shape)
    far = (height - y.shape[1] + at.padding, width - y.shape[2] + at.padding)
    return windows.pad(y, ((-at.padding, far[0]), (-at.padding, far[1])))


def _gradients(
    x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], dy: Float[Array, "B h w O"], at: _Steps
) -> tuple[Float[Array, "B H W C"], Float[Array, "K L C O"]]:
    """Both gradients: of wide kernels over many channels by convolution, else from patches.

    64×16×16×256 to 128 channels, 4×4/2: 181 and 216 ms; 2×128×128×128 to 64 channels, 2×2/2: 57 and 33 ms.
    """
    wide = min(kernel.shape[:2]) > at.strides and min(kernel.shape[2:]) >= _MANY_CHANNELS
    return (_convolved if wide else _products)(x, kernel, dy, at)


def _convolved(
    x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], dy: Float[Array, "B h w O"], at: _Steps
) -> tuple[Float[Array, "B H W C"], Float[Array, "K L C O"]]:
    """Both gradients from the convolution that this one is the adjoint of."""

    def convolve(kernel: Float[Array, "K L C O"]) -> Float[Array, "B H W C"]:
        taps, pads = kernel.transpose(0, 1, 3, 2), [(at.padding, f) for f in at.far(x.shape, kernel.shape, dy.shape)]
        return conv_general_dilated(dy, taps, (at.strides, at.strides), pads, dimension_numbers=_NHWC)

    dx, pullback = jax.vjp(convolve, kernel)
    return dx, pullback(x)[0]


def _products(
    x: Float[Array, "B H W C"], kernel: Float[Array, "K L C O"], dy: Float[Array, "B h w O"], at: _Steps
) -> tuple[Float[Array, "B H W C"], Float[Array, "K L C O"]]:
    """Both gradients, from the patch of `dy` that each value was multiplied into, as two matrix products.

    4×28×28×128 to 64 channels, 4×4/2: 22 ms; as the derivative of the dilated form 700 ms, of the phases 1600 ms.
    """
    size, (channels, outputs) = kernel.shape[:2], kernel.shape[2:]
    far = at.far(x.shape, kernel.shape, dy.shape)
    padded = windows.pad(dy, ((at.padding, far[0]), (at.padding, far[1])))
    views = windows.views(padded, (size[0], size[1]), (at.strides, at.strides))
    patches = jnp.stack([view for row in views for view in row], 3).reshape(-1, size[0] * size[1] * outputs)
    matrix = kernel.transpose(2, 0, 1, 3).reshape(channels, -1)
    dx = jnp.dot(patches, matrix.T, precision=lax.Precision.HIGHEST)
    dkernel = jnp.dot(x.reshape(-1, channels).T, patches, precision=lax.Precision.HIGHEST)
    return dx.reshape(x.shape), dkernel.reshape(channels, *size, outputs).transpose(1, 2, 0, 3)
