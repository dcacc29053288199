"""Crops, resizes and blurs of one image, each as two small matrices: one for its rows, one for its columns.

Under `vmap` every image of a batch has matrices of its own, so that shapes stay the same whatever is drawn.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Num

from jaxvision.ops.interpolation import hat


def crop_resize(image: Float[Array, "H W C"], box: Num[Array, "4"], size: int) -> Float[Array, "s s C"]:
    """Resize a part of the image to a square, as torchvision's `resized_crop(…, antialias=True)` does.

    The interpolation is bilinear with half-pixel centres, antialiased where the part shrinks, and ignores pixels around
    it, as Pillow's `crop` and `resize` do.

    Args:
        image: the image.
        box: the part (x0, y0, x1, y1), in pixels.
        size: side of the square, in pixels.

    Returns:
        The square.

    Example:
        >>> crop_resize(jnp.ones((8, 8, 3)), jnp.array([2.0, 2.0, 6.0, 6.0]), 4).shape
        (4, 4, 3)
    """
    height, width, _ = image.shape
    x0, y0, x1, y1 = box
    return _both(image, interpolation(y0, y1, size, height), interpolation(x0, x1, size, width))


def gaussian_blur(image: Float[Array, "H W C"], sigma: Float[Array, ""], kernel: int) -> Float[Array, "H W C"]:
    """Replace each pixel by the mean of its neighbours, weighted by a Gaussian; the image is mirrored at its border.

    Args:
        image: the image.
        sigma: the Gaussian's standard deviation, in pixels.
        kernel: side of the window of neighbours, in pixels: odd.

    Returns:
        The blurred image.

    Raises:
        ValueError: the kernel is even, or reaches beyond the mirror image.

    Example:
        >>> image = jnp.zeros((9, 9, 1)).at[4, 4].set(1.0)
        >>> gaussian_blur(image, jnp.array(1.0), 5).argmax().item() == image.argmax().item()
        True
    """
    height, width, _ = image.shape
    if kernel % 2 == 0 or kernel // 2 >= min(height, width):
        raise ValueError(
            f"gaussian_blur: kernel={kernel} on {height}×{width} pixels; give an odd number below twice that"
        )
    return _both(image, smoothing(sigma, kernel // 2, height), smoothing(sigma, kernel // 2, width))


def erase(image: Float[Array, "H W C"], box: Int[Array, "4"]) -> Float[Array, "H W C"]:
    """Black out the inside of `box` (x0, y0, x1, y1), which may stick out of the image."""
    height, width, _ = image.shape
    x0, y0, x1, y1 = box
    rows, columns = jnp.arange(height)[:, None, None], jnp.arange(width)[None, :, None]
    inside = (rows >= y0) & (rows < y1) & (columns >= x0) & (columns < x1)
    return jnp.where(inside, 0.0, image)


def interpolation(start: Num[Array, ""], stop: Num[Array, ""], size: int, length: int) -> Float[Array, "s L"]:
    """Return the weights of an axis's pixels in each of the new ones.

    Args:
        start: where the new pixels begin, in pixels.
        stop: where they end, in pixels.
        size: the number of new pixels.
        length: the number of pixels of the axis.

    Returns:
        The matrix [to, from], each row with sum 1.
    """
    scale = (stop - start) / size
    centers = start + scale * (jnp.arange(size) + 0.5)
    pixels = jnp.arange(length)[None, :]
    distance = (pixels + 0.5 - centers[:, None]) / jnp.maximum(scale, 1.0)
    weights = hat(distance) * ((pixels >= start) & (pixels < stop))
    return weights / weights.sum(axis=1, keepdims=True)


def smoothing(sigma: Float[Array, ""], radius: int, length: int) -> Float[Array, "L L"]:
    """Return the weights of an axis's pixels in each blurred one, those of the mirror images beyond both ends included.

    Args:
        sigma: the Gaussian's standard deviation, in pixels.
        radius: pixels on either side that have a weight.
        length: the number of pixels of the axis.

    Returns:
        The matrix [to, from].
    """
    pixels = jnp.arange(length)

    def gaussian(offset: Num[Array, "..."]) -> Float[Array, "..."]:
        return jnp.where(jnp.abs(offset) <= radius, jnp.exp(-0.5 * jnp.square(offset / sigma)), 0.0)

    to, source = pixels[:, None], pixels[None, :]
    before = jnp.where(source > 0, gaussian(-source - to), 0.0)  # the end pixels are not repeated
    behind = jnp.where(source < length - 1, gaussian(2 * (length - 1) - source - to), 0.0)
    return (gaussian(source - to) + before + behind) / gaussian(jnp.arange(-radius, radius + 1)).sum()


def _both(
    image: Float[Array, "H W C"], rows: Float[Array, "h H"], columns: Float[Array, "w W"]
) -> Float[Array, "h w C"]:
    return jnp.einsum("hH,HWC,wW->hwC", rows, image, columns, precision=lax.Precision.HIGHEST)
