"""Random augmentations on the device, for float RGB images [B, H, W, 3] in 0..1.

Each image has its own key, so that its changes do not depend on how a batch is divided among devices. The first
arguments are always `keys` (raw, one an image) and `images`; `chain` joins several augmentations, whose other arguments
are given with `functools.partial`. `probability` is the chance that an image is changed. The changes themselves,
without chance, are in `ops.resample` and `ops.adjust`.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from jaxvision.ops import adjust
from jaxvision.ops.resample import crop_resize, erase, gaussian_blur

Keys = UInt32[Array, "B 2"]
Images = Float[Array, "B H W 3"]
Augmentation = Callable[[Keys, Images], Float[Array, "B h w 3"]]
_TRIES = 10


def chain(*steps: Augmentation) -> Augmentation:
    """Return an augmentation that takes the steps in this order, each with its own keys."""

    def augment(keys: Keys, images: Images) -> Float[Array, "B h w 3"]:
        each = jax.vmap(partial(jax.random.split, num=len(steps)))(keys)
        for i, step in enumerate(steps):
            images = step(each[:, i], images)
        return images

    return augment


def random_resized_crop(
    keys: Keys,
    images: Images,
    size: int,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> Float[Array, "B s s 3"]:
    """Resize a random part of each image to a square (Szegedy et al. 2014, section 6).

    Args:
        keys: one an image.
        images: the images.
        size: side of the square, in pixels.
        area: bounds of the part's share of the image's area, which is uniform between them.
        aspect: bounds of the part's width / height, which is log-uniform between them.

    Returns:
        The squares.
    """
    draw = partial(crop_box, height=images.shape[1], width=images.shape[2], area=area, aspect=aspect)
    return jax.vmap(lambda key, image: crop_resize(image, draw(key), size))(keys, images)


def crop_box(
    key: UInt32[Array, "2"], height: int, width: int, area: tuple[float, float], aspect: tuple[float, float]
) -> Int[Array, "4"]:
    """Draw the part of an image that `random_resized_crop` takes: the first of ten draws that fits into the image.

    Args:
        key: what it is drawn from.
        height: of the image, in pixels.
        width: of the image, in pixels.
        area: bounds of the part's share of the image's area.
        aspect: bounds of the part's width / height.

    Returns:
        The box (x0, y0, x1, y1) in whole pixels; where no draw fits, the largest central one within the aspect bounds.
    """
    of_area, of_aspect, of_place = jax.random.split(key, 3)
    target = height * width * jax.random.uniform(of_area, (_TRIES,), minval=area[0], maxval=area[1])
    low, high = (math.log(bound) for bound in aspect)
    ratio = jnp.exp(jax.random.uniform(of_aspect, (_TRIES,), minval=low, maxval=high))
    sides = jnp.round(jnp.sqrt(jnp.stack([target * ratio, target / ratio]))).astype(jnp.int32)
    extent = jnp.array([width, height])
    fits = jnp.all((sides > 0) & (sides <= extent[:, None]), axis=0)
    central = jnp.array([min(width, max(1, round(height * aspect[1]))), min(height, max(1, round(width / aspect[0])))])
    side = jnp.where(fits.any(), sides[:, jnp.argmax(fits)], central)
    place = jnp.floor(jax.random.uniform(of_place, (2,)) * (extent - side + 1)).astype(jnp.int32)
    start = jnp.where(fits.any(), jnp.minimum(place, extent - side), (extent - central) // 2)
    return jnp.concatenate([start, start + side])


def flip(keys: Keys, images: Images, probability: float = 0.5) -> Images:
    """Mirror images left to right.

    Args:
        keys: one an image.
        images: the images.
        probability: of a change.

    Returns:
        The images.
    """
    return _sometimes(keys, images, probability, lambda key, image: image[:, ::-1])


def color_jitter(
    keys: Keys, images: Images, strengths: tuple[float, float, float, float], probability: float = 1.0
) -> Images:
    """Change brightness, contrast, saturation and hue by random amounts, in an order drawn for each image.

    Args:
        keys: one an image.
        images: the images.
        strengths: four numbers s. Brightness, contrast and saturation are multiplied by factors from [max(0, 1 - s), 1
            + s]; the hue is turned by [-s, s] of the colour circle, so its s is at most 0.5.
        probability: of a change.

    Returns:
        The images.
    """
    low = jnp.array([*(max(0.0, 1.0 - s) for s in strengths[:3]), -strengths[3]])
    high = jnp.array([*(1.0 + s for s in strengths[:3]), strengths[3]])

    def jitter(key: UInt32[Array, "2"], image: Float[Array, "H W 3"]) -> Float[Array, "H W 3"]:
        of_amount, of_order = jax.random.split(key)
        amounts = jax.random.uniform(of_amount, (4,), minval=low, maxval=high)
        return adjust.jitter(image, amounts, jax.random.permutation(of_order, 4))

    return _sometimes(keys, images, probability, jitter)


def grayscale(keys: Keys, images: Images, probability: float) -> Images:
    """Take the colours away.

    Args:
        keys: one an image.
        images: the images.
        probability: of a change.

    Returns:
        The images.
    """
    return _sometimes(keys, images, probability, lambda key, image: adjust.grayscale(image))


def blur(keys: Keys, images: Images, sigma: tuple[float, float], kernel: int, probability: float = 1.0) -> Images:
    """Blur images with a Gaussian of random width.

    Args:
        keys: one an image.
        images: the images.
        sigma: bounds of the standard deviation in pixels, which is uniform between them.
        kernel: side of the window, in pixels: odd.
        probability: of a change.

    Returns:
        The images.
    """

    def blurred(key: UInt32[Array, "2"], image: Float[Array, "H W 3"]) -> Float[Array, "H W 3"]:
        return gaussian_blur(image, jax.random.uniform(key, minval=sigma[0], maxval=sigma[1]), kernel)

    return _sometimes(keys, images, probability, blurred)


def solarize(keys: Keys, images: Images, probability: float) -> Images:
    """Invert values that are lighter than the middle.

    Args:
        keys: one an image.
        images: the images.
        probability: of a change.

    Returns:
        The images.
    """
    return _sometimes(keys, images, probability, lambda key, image: adjust.solarize(image))


def cutout(keys: Keys, images: Images, size: int, probability: float = 1.0) -> Images:
    """Black out a square whose middle is anywhere in the image (DeVries & Taylor 2017, section 3.2).

    Args:
        keys: one an image.
        images: the images.
        size: side of the square, in pixels.
        probability: of a change.

    Returns:
        The images.
    """

    def cut(key: UInt32[Array, "2"], image: Float[Array, "H W 3"]) -> Float[Array, "H W 3"]:
        middle = jax.random.randint(key, (2,), 0, jnp.array([image.shape[1], image.shape[0]]))
        start = middle - size // 2
        return erase(image, jnp.concatenate([start, start + size]))

    return _sometimes(keys, images, probability, cut)


def _sometimes(
    keys: Keys,
    images: Images,
    probability: float,
    change: Callable[[UInt32[Array, "2"], Float[Array, "H W 3"]], Float[Array, "H W 3"]],
) -> Images:
    """Apply `change(key, image)` to each image with this probability."""

    def one(key: UInt32[Array, "2"], image: Float[Array, "H W 3"]) -> Float[Array, "H W 3"]:
        coin, rest = jax.random.split(key)
        return jnp.where(jax.random.uniform(coin) < probability, change(rest, image), image)

    return jax.vmap(one)(keys, images)
