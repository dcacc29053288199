"""Warped windows: parts of an image at one size, with context around them (Girshick et al. 2014, appendix A)."""

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from jaxvision.ops.images import Color
from jaxvision.ops.roi import roi_align


def warp(
    images: UInt8[Array, "B H W 3"], windows: Float[Array, "B R 4"], size: int, padding: int, mean: Color
) -> UInt8[Array, "B R S S 3"]:
    """Stretch each window to a square, of which a border shows the window's surroundings.

    The interpolation is bilinear, without antialiasing, as in the released code.

    Args:
        images: the images.
        windows: corners in pixels.
        size: side of the square, in pixels.
        padding: width of the border, in pixels of the square.
        mean: RGB in 0..255 for pixels outside the image, which are 0 once it is subtracted.

    Returns:
        The squares.
    """
    center = jnp.array(mean, jnp.float32).reshape(1, 1, 1, 3)
    # One bilinear sample a pixel is RoIAlign on the image itself; outside of the map it samples 0.
    pixels = roi_align(
        images.astype(jnp.float32) - center,
        with_context(windows, size, padding),
        (size, size),
        spatial_scale=1.0,
        sampling_ratio=1,
    )
    return jnp.clip(jnp.round(pixels + center[None]), 0, 255).astype(jnp.uint8)


def with_context(windows: Float[Array, "*b 4"], size: int, padding: int) -> Float[Array, "*b 4"]:
    """Enlarge windows about their centres, so that their surroundings fill the border once they are stretched.

    Args:
        windows: corners in pixels.
        size: side of the square to which windows are stretched, in pixels.
        padding: width of the border, in pixels of the square.

    Returns:
        Corners in pixels.

    Raises:
        ValueError: the border leaves no room for the window.
    """
    if not 0 <= 2 * padding < size:
        raise ValueError(f"a window of {size} pixels has no room for a padding of {padding} a side; lower the padding")
    center, half = (windows[..., :2] + windows[..., 2:]) / 2, (windows[..., 2:] - windows[..., :2]) / 2
    half = half * (size / (size - 2 * padding))
    return jnp.concatenate([center - half, center + half], axis=-1)
