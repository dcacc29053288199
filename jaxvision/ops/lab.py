"""CIE Lab: lightness L in 0..100 and two colour axes, a (green to red) and b (blue to yellow), near -110..110.

sRGB with the white of daylight (D65, 2° observer), constants as scikit-image has them, whose figures these equal.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Float32

_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]], np.float64
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_KNEE = 0.008856  # of XYZ, below which the cube root gives way to a line
_LEVELS = 64  # per channel; 64 is the least number that reaches every bin that all 256 levels reach
_TOUCHES = 1e-6  # distance from the hull that is rounding


def to_lab(rgb: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    """Convert sRGB in 0..1 to (L, a, b).

    Example:
        >>> bool(jnp.allclose(to_lab(jnp.ones(3)), jnp.array([100.0, 0.0, 0.0]), atol=0.1))  # white
        True
    """
    xyz = _times(_linear(rgb), _XYZ / _WHITE[:, None])
    far = xyz > _KNEE
    x, y, z = jnp.moveaxis(jnp.where(far, jnp.cbrt(jnp.where(far, xyz, 1.0)), 7.787 * xyz + 16 / 116), -1, 0)
    return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def to_rgb(lab: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    """Convert (L, a, b) to sRGB in 0..1; colours that no screen shows are clipped.

    Example:
        >>> bool(jnp.allclose(to_rgb(jnp.array([100.0, 0.0, 0.0])), 1, atol=1e-3))  # white
        True
    """
    lightness, a, b = jnp.moveaxis(lab, -1, 0)
    y = (lightness + 16) / 116
    roots = jnp.stack([y + a / 500, y, jnp.maximum(y - b / 200, 0.0)], axis=-1)
    xyz = jnp.where(roots > 0.2068966, roots**3, (roots - 16 / 116) / 7.787)
    return _encoded(_times(xyz, np.linalg.inv(_XYZ) * _WHITE[None]))


def grey(rgb: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    """Return sRGB of the same lightness without colour, as three equal channels. Grey images stay as they are."""
    luminance = _times(_linear(rgb), _XYZ[1:2])
    return jnp.broadcast_to(_encoded(luminance), rgb.shape)


@functools.cache
def color_bins(grid: int = 10) -> Float32[np.ndarray, "Q 2"]:
    """Return the grid points (a, b) that are the nearest to some colour of sRGB, sorted by a and then b.

    With the `grid` of 10 of Zhang et al. 2016 (section 2.1) there are 261; their own, 313, are `hull_bins`.
    """
    return np.unique(np.rint(_colors_of_screens() / grid), axis=0).astype(np.float32) * grid


@functools.cache
def hull_bins(grid: int = 10) -> Float32[np.ndarray, "Q 2"]:
    """Return the grid points (a, b) within a step of the hull of sRGB's colours along each axis, sorted by a and b.

    The hull is the convex one of all a and b, cut to whole numbers. With a `grid` of 10 there are 313: those of Zhang
    et al. 2016 (section 2.1), which the released code reads from pts_in_hull.npy. How they were chosen neither says.
    This rule gives exactly that file's, in its order.
    """
    from scipy.spatial import ConvexHull  # which takes a while to import

    whole = np.unique(np.trunc(_colors_of_screens()), axis=0).astype(np.float64)
    corners = grid * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    sides = ConvexHull((whole[:, None] + corners[None]).reshape(-1, 2)).equations  # normals that point outwards
    ends = np.abs(whole).max() // grid + 1
    axis = grid * np.arange(-ends, ends + 1)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    inside = (points @ sides[:, :2].T + sides[None, :, 2] <= _TOUCHES).all(axis=1)
    return points[inside].astype(np.float32)


def _colors_of_screens() -> Float32[np.ndarray, "N 2"]:
    """Return (a, b) of `_LEVELS` levels of each channel in all combinations."""
    levels = np.linspace(0, 1, _LEVELS, dtype=np.float32)
    colors = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(to_lab(jnp.asarray(colors)))[:, 1:]


def _linear(rgb: Float[Array, "*b C"]) -> Float[Array, "*b C"]:
    bright = rgb > 0.04045
    return jnp.where(bright, ((jnp.where(bright, rgb, 1.0) + 0.055) / 1.055) ** 2.4, rgb / 12.92)


def _encoded(linear: Float[Array, "*b C"]) -> Float[Array, "*b C"]:
    bright = linear > 0.0031308
    rgb = jnp.where(bright, 1.055 * jnp.where(bright, linear, 1.0) ** (1 / 2.4) - 0.055, 12.92 * linear)
    return jnp.clip(rgb, 0.0, 1.0)


def _times(colors: Float[Array, "*b 3"], matrix: Float[np.ndarray, "O 3"]) -> Float[Array, "*b O"]:
    # GPUs multiply matrices in fewer bits, which shows in a colour.
    return jnp.einsum("...i,oi->...o", colors, jnp.asarray(matrix, jnp.float32), precision=lax.Precision.HIGHEST)
