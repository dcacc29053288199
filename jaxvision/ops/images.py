"""Pixels on the device."""

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

Color = tuple[float, float, float]


def normalise(images: UInt8[Array, "B H W 3"], mean: Color, std: Color) -> Float[Array, "B H W 3"]:
    """(image − mean) / std for each RGB channel; `mean` and `std` in units of 0..255."""
    return standardise(images.astype(jnp.float32), mean, std)


def unit(images: UInt8[Array, "*b"]) -> Float[Array, "*b"]:
    """uint8 as 0..1."""
    return images.astype(jnp.float32) / 255.0


def standardise(images: Float[Array, "B H W 3"], mean: Color, std: Color) -> Float[Array, "B H W 3"]:
    """`normalise` of images that are floats already, because a gradient passes through them."""
    center, scale = (jnp.array(color, jnp.float32).reshape(1, 1, 1, 3) for color in (mean, std))
    return (images - center) / scale
