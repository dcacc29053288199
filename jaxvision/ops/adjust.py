"""The colour adjustments of colour jitter, for one RGB image in 0..1, by torchvision's formulas."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

_LUMA = (0.299, 0.587, 0.114)  # Rec. 601; they add up to 1, so that grey stays as it is


def brightness(image: Float[Array, "H W 3"], factor: Float[Array, ""]) -> Float[Array, "H W 3"]:
    """Multiply the image by `factor`: 0 gives black, 1 changes nothing."""
    return _blend(image, jnp.zeros((1, 1, 1)), factor)


def contrast(image: Float[Array, "H W 3"], factor: Float[Array, ""]) -> Float[Array, "H W 3"]:
    """Multiply the difference from the mean grey by `factor`: 0 gives that grey everywhere, 1 changes nothing."""
    return _blend(image, _luma(image).mean(keepdims=True), factor)


def saturation(image: Float[Array, "H W 3"], factor: Float[Array, ""]) -> Float[Array, "H W 3"]:
    """Multiply the difference from each pixel's grey by `factor`: 0 gives a grey image, 1 changes nothing."""
    return _blend(image, _luma(image), factor)


def hue(image: Float[Array, "H W 3"], turn: Float[Array, ""]) -> Float[Array, "H W 3"]:
    """Turn the hues by `turn` of the colour circle: 1/3 makes red green, 1/2 gives complementary colours.

    Each pixel's largest and smallest channel value stay, as in the HSV cone.
    """
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    value = image.max(axis=-1)
    chroma = value - image.min(axis=-1)
    safe = jnp.where(chroma > 0, chroma, 1.0)
    # The largest channel is found by order, not as the one equal to `value`: a compiler may compute `value` and the
    # channels twice and round them differently, and then none would be equal to it.
    sixths = jnp.where(
        (red >= green) & (red >= blue),
        (green - blue) / safe,
        jnp.where(green >= blue, 2.0 + (blue - red) / safe, 4.0 + (red - green) / safe),
    )
    # Where a channel stands on the circle, in sixths, seen from the point at which it is darkest.
    position = jnp.mod(sixths[..., None] + 6.0 * turn + jnp.array([5.0, 3.0, 1.0]).reshape(1, 1, 3), 6.0)
    return value[..., None] - chroma[..., None] * jnp.clip(jnp.minimum(position, 4.0 - position), 0.0, 1.0)


def jitter(image: Float[Array, "H W 3"], amounts: Float[Array, "4"], order: Int[Array, "4"]) -> Float[Array, "H W 3"]:
    """Change brightness, contrast, saturation and hue, one after the other.

    Args:
        image: the image.
        amounts: the factors of brightness, contrast and saturation, and the turn of the hue.
        order: in which order they are applied, a permutation of 0..3.

    Returns:
        The changed image.
    """
    adjustments = [
        lambda image, by=by, i=i: by(image, amounts[i]) for i, by in enumerate((brightness, contrast, saturation, hue))
    ]
    for step in range(4):
        image = lax.switch(order[step], adjustments, image)
    return image


def grayscale(image: Float[Array, "H W 3"]) -> Float[Array, "H W 3"]:
    """Replace all three channels of each pixel by its grey."""
    return jnp.broadcast_to(_luma(image), image.shape)


def solarize(image: Float[Array, "H W 3"], threshold: float = 0.5) -> Float[Array, "H W 3"]:
    """Invert values from `threshold` on."""
    return jnp.where(image >= threshold, 1.0 - image, image)


def _luma(image: Float[Array, "H W 3"]) -> Float[Array, "H W 1"]:
    red, green, blue = _LUMA
    return red * image[..., :1] + green * image[..., 1:2] + blue * image[..., 2:]


def _blend(
    image: Float[Array, "H W 3"], other: Float[Array, "#H #W 1"], factor: Float[Array, ""]
) -> Float[Array, "H W 3"]:
    return jnp.clip(factor * image + (1.0 - factor) * other, 0.0, 1.0)
