"""Conversion of uint8 pixels to the floats that networks take."""

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

Color = tuple[float, float, float]


def normalise(images: UInt8[Array, "B H W 3"], mean: Color, std: Color) -> Float[Array, "B H W 3"]:
    """Return (image - mean) / std for each RGB channel.

    Args:
        images: 0..255.
        mean: of each channel, in units of 0..255.
        std: the standard deviation of each channel, in units of 0..255.

    Returns:
        The images in float32.
    """
    return standardise(images.astype(jnp.float32), mean, std)


def unit(images: UInt8[Array, "*b"]) -> Float[Array, "*b"]:
    """Return uint8 values as 0..1."""
    return images.astype(jnp.float32) / 255.0


def from_unit(images: Float[Array, "*b"]) -> UInt8[Array, "*b"]:
    """Return values of 0..1 as uint8, rounded; those outside become 0 or 255. It is the inverse of `unit`."""
    return jnp.clip(jnp.round(255.0 * images), 0, 255).astype(jnp.uint8)


def standardise(images: Float[Array, "B H W 3"], mean: Color, std: Color) -> Float[Array, "B H W 3"]:
    """Return `normalise` of images that are floats already, because a gradient passes through them.

    Args:
        images: 0..255.
        mean: of each channel, in units of 0..255.
        std: the standard deviation of each channel, in units of 0..255.

    Returns:
        The images.
    """
    center, scale = (jnp.array(color, jnp.float32).reshape(1, 1, 1, 3) for color in (mean, std))
    return (images - center) / scale
