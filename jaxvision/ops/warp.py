"""Windows of an image as images of one size, with some of what lies around them (Girshick et al. 2014, appendix A)."""

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from jaxvision.ops.images import Color
from jaxvision.ops.roi import roi_align


def warp(
    images: UInt8[Array, "B H W 3"], windows: Float[Array, "B R 4"], size: int, padding: int, mean: Color
) -> UInt8[Array, "B R S S 3"]:
    """Each window stretched to `size`×`size` pixels, of which `padding` on every side show its surroundings.

    Bilinear, without antialiasing, as the released code has it. What lies outside the image is `mean` (0..255 RGB),
    which is 0 once that is subtracted.
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
    """Windows enlarged about their centres, so that stretched to `size` they are what is inside of `padding` pixels.

    ValueError: nothing would be inside.
    """
    if not 0 <= 2 * padding < size:
        raise ValueError(f"a window of {size} pixels has no room for a padding of {padding} a side; lower the padding")
    center, half = (windows[..., :2] + windows[..., 2:]) / 2, (windows[..., 2:] - windows[..., :2]) / 2
    half = half * (size / (size - 2 * padding))
    return jnp.concatenate([center - half, center + half], axis=-1)
