"""Bilinear interpolation of maps, as one small matrix for their rows and one for their columns."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32

from jaxvision.ops.dispatch import dispatch


def hat(distance: Float[Any, "*s"]) -> Float[Any, "*s"]:
    """Return the bilinear weight of pixels at a distance in pixels: max(0, 1 - |distance|), for numpy and jax alike."""
    return (1 - abs(distance)).clip(0)


def bilinear_kernel(stride: int) -> Float32[np.ndarray, "k k"]:
    """Return the kernel of a transposed convolution that interpolates by a factor; k = 2·stride - stride mod 2."""
    size = 2 * stride - stride % 2
    ramp = hat((np.arange(size) - (size - 1) / 2) / stride)
    return np.outer(ramp, ramp).astype(np.float32)


def bilinear_init(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Float[Array, "k k C O"]:
    """Initialize a transposed convolution to interpolate each channel by a factor of (k + 1) // 2 (Long et al. 2015).

    Args:
        key: not used: nothing is drawn.
        shape: of the kernel, (k, k, C, O); input channel c goes to output channel c, all other weights are 0.
        dtype: of the kernel.

    Returns:
        The kernel.

    Raises:
        ValueError: a kernel of that size interpolates by no whole factor.
    """
    weights = bilinear_kernel((shape[0] + 1) // 2)
    if weights.shape != shape[:2]:
        raise ValueError(f"bilinear_init: a kernel of {shape[:2]}; for a factor s give the side 2·s - s mod 2")
    kernel = np.zeros(shape)
    channel = np.arange(min(shape[2:]))
    kernel[:, :, channel, channel] = weights[:, :, None]
    return jnp.asarray(kernel, dtype)


def interpolate(x: Float[Array, "B H W C"], factor: int, padding: int = 0) -> Float[Array, "B h w C"]:
    """Enlarge maps by `conv_transpose` of each channel alone with the fixed `bilinear_kernel(factor)`.

    Args:
        x: the maps.
        factor: the stride of the transposed convolution.
        padding: pixels that are cut off on every side of the result.

    Returns:
        The larger maps; a side of n gives (n - 1)·factor - 2·padding + k for a kernel of side k.
    """
    rows, columns = (_ramps(n, factor, padding) for n in x.shape[1:3])
    return _both(x, rows, columns)


def resize_bilinear(
    x: Float[Array, "B H W C"], size: tuple[int, int], *, align_corners: bool = False
) -> Float[Array, "B h w C"]:
    """Resize maps by bilinear interpolation, without antialiasing where they shrink.

    Args:
        x: the maps.
        size: the new height and width.
        align_corners: whether the centres of the corner pixels coincide. Otherwise the corners of the maps do, and
            values beyond the outermost centres are those of the border.

    Returns:
        The resized maps, of the type of `x`.

    Example:
        >>> resize_bilinear(jnp.array([[[[0.0], [1.0]]]]), (1, 3), align_corners=True)[0, 0, :, 0].tolist()
        [0.0, 0.5, 1.0]
    """
    rows, columns = (_weights(old, new, align_corners) for old, new in zip(x.shape[1:3], size, strict=True))
    return _both(x, rows, columns)


def product(x: Float32[Array, "B H W C"], weights: Float[np.ndarray, "n o"], axis: int) -> Float32[Array, "B h w C"]:
    """Multiply every row or column of maps by a matrix.

    Args:
        x: the maps.
        weights: the matrix, [to, from].
        axis: 1 for rows, 2 for columns.

    Returns:
        The maps, with `axis` as long as the matrix has rows.
    """
    form = "pi,bijc->bpjc" if axis == 1 else "qj,bijc->biqc"
    return jnp.einsum(form, jnp.asarray(weights, jnp.float32), x, precision=lax.Precision.HIGHEST)


def _ramps(length: int, factor: int, padding: int) -> Float[np.ndarray, "n o"]:
    """Return the matrix [to, from] of a transposed convolution along one axis."""
    size = 2 * factor - factor % 2
    center = np.arange(length) * factor + (size - 1) / 2
    at = np.arange((length - 1) * factor + size)[padding : (length - 1) * factor + size - padding]
    return hat((at[:, None] - center[None]) / factor)


def _weights(old: int, new: int, align_corners: bool) -> Float[np.ndarray, "n o"]:
    """Return the matrix [to, from] of a resizing along one axis."""
    if align_corners:
        at = np.arange(new) * ((old - 1) / (new - 1) if new > 1 else 0.0)
    else:
        at = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
    return hat(at[:, None] - np.arange(old)[None])


def _both(
    x: Float[Array, "B H W C"], rows: Float[np.ndarray, "h H"], columns: Float[np.ndarray, "w W"]
) -> Float[Array, "B h w C"]:
    return _along(_along(x.astype(jnp.float32), rows, 1), columns, 2).astype(x.dtype)


def _along(x: Float32[Array, "B H W C"], weights: Float[np.ndarray, "n o"], axis: int) -> Float32[Array, "B h w C"]:
    """Multiply along one axis. The gradient is the same with the transposed matrix, in the same fast form."""

    @jax.custom_vjp
    def apply(x: Float32[Array, "B H W C"]) -> Float32[Array, "B h w C"]:
        return dispatch(x, cpu="interpolation.along", default=product, weights=weights, axis=axis)

    apply.defvjp(lambda x: (apply(x), None), lambda _, dy: (_along(dy, weights.T, axis),))
    return apply(x)
