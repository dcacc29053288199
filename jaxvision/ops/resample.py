"""Cuts, resizes and blurs of one image, each as two small matrices: one for its rows, one for its columns.

Under `vmap` every image of a batch has matrices of its own, so that shapes stay the same whatever is drawn.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Num


def crop_resize(image: Float[Array, "H W C"], box: Num[Array, "4"], size: int) -> Float[Array, "s s C"]:
    """The part `box` (x0, y0, x1, y1, in pixels) of the image, resized to a square of `size` pixels.

    Bilinear with half-pixel centres, antialiased where it shrinks, and blind to the pixels around the box: what
    torchvision's `resized_crop(…, antialias=True)` and Pillow's `crop` and `resize` do.

    Example:
        >>> crop_resize(jnp.ones((8, 8, 3)), jnp.array([2.0, 2.0, 6.0, 6.0]), 4).shape
        (4, 4, 3)
    """
    height, width, _ = image.shape
    x0, y0, x1, y1 = box
    return _both(image, interpolation(y0, y1, size, height), interpolation(x0, x1, size, width))


def gaussian_blur(image: Float[Array, "H W C"], sigma: Float[Array, ""], kernel: int) -> Float[Array, "H W C"]:
    """Each pixel becomes the mean of its `kernel` × `kernel` neighbours, weighted by a Gaussian of `sigma` pixels.

    The image is mirrored at its border. ValueError: an even kernel, or one that reaches beyond the mirror image.

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
    """The image, black inside `box` (x0, y0, x1, y1), which may stick out of it."""
    height, width, _ = image.shape
    x0, y0, x1, y1 = box
    rows, columns = jnp.arange(height)[:, None, None], jnp.arange(width)[None, :, None]
    inside = (rows >= y0) & (rows < y1) & (columns >= x0) & (columns < x1)
    return jnp.where(inside, 0.0, image)


def interpolation(start: Num[Array, ""], stop: Num[Array, ""], size: int, length: int) -> Float[Array, "s L"]:
    """The weights of `length` pixels in each of `size` new ones that cover [start, stop)."""
    scale = (stop - start) / size
    centers = start + scale * (jnp.arange(size) + 0.5)
    pixels = jnp.arange(length)[None, :]
    distance = jnp.abs(pixels + 0.5 - centers[:, None]) / jnp.maximum(scale, 1.0)
    weights = jnp.maximum(1.0 - distance, 0.0) * ((pixels >= start) & (pixels < stop))
    return weights / weights.sum(axis=1, keepdims=True)


def smoothing(sigma: Float[Array, ""], radius: int, length: int) -> Float[Array, "L L"]:
    """The weights of `length` pixels in each blurred one, those of the mirror images beyond both ends included."""
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
