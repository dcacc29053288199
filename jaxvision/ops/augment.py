"""Random augmentations on the device, for float RGB images [B, H, W, 3] in 0..1.

Each image has a key of its own, so that what happens to it does not depend on how a batch is shared out over devices.
The first arguments are always `keys` (raw, one an image) and `images`; `chain` puts several together, the rest of whose
arguments are given with `functools.partial`. `probability` is that of a change of an image. What a change does, given
what was drawn, is in `ops.resample` and `ops.adjust`.
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
    """The steps in the order given, each with keys of its own."""

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
    """A random part of each image, resized to a square of `size` pixels (Szegedy et al. 2014, section 6).

    Its share of the image's area is uniform in `area`, its aspect ratio (width / height) log-uniform in `aspect`.
    """
    draw = partial(crop_box, height=images.shape[1], width=images.shape[2], area=area, aspect=aspect)
    return jax.vmap(lambda key, image: crop_resize(image, draw(key), size))(keys, images)


def crop_box(
    key: UInt32[Array, "2"], height: int, width: int, area: tuple[float, float], aspect: tuple[float, float]
) -> Int[Array, "4"]:
    """The part (x0, y0, x1, y1) that `random_resized_crop` takes, in whole pixels.

    The first of ten draws that fits into the image; the largest central part within the aspect bounds where none does.
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
    """Mirrors left and right."""
    return _sometimes(keys, images, probability, lambda key, image: image[:, ::-1])


def color_jitter(
    keys: Keys, images: Images, strengths: tuple[float, float, float, float], probability: float = 1.0
) -> Images:
    """Brightness, contrast and saturation times factors from [max(0, 1 − s), 1 + s], and hue turned by [−s, s] of the
    colour circle, in an order drawn for each image; `strengths` has the four s (hue's at most 0.5).
    """
    low = jnp.array([*(max(0.0, 1.0 - s) for s in strengths[:3]), -strengths[3]])
    high = jnp.array([*(1.0 + s for s in strengths[:3]), strengths[3]])

    def jitter(key: UInt32[Array, "2"], image: Float[Array, "H W 3"]) -> Float[Array, "H W 3"]:
        of_amount, of_order = jax.random.split(key)
        amounts = jax.random.uniform(of_amount, (4,), minval=low, maxval=high)
        return adjust.jitter(image, amounts, jax.random.permutation(of_order, 4))

    return _sometimes(keys, images, probability, jitter)


def grayscale(keys: Keys, images: Images, probability: float) -> Images:
    """Takes the colours away."""
    return _sometimes(keys, images, probability, lambda key, image: adjust.grayscale(image))


def blur(keys: Keys, images: Images, sigma: tuple[float, float], kernel: int, probability: float = 1.0) -> Images:
    """A Gaussian blur, `sigma` uniform in a range of pixels; `kernel`: how many pixels it reaches over, odd."""

    def blurred(key: UInt32[Array, "2"], image: Float[Array, "H W 3"]) -> Float[Array, "H W 3"]:
        return gaussian_blur(image, jax.random.uniform(key, minval=sigma[0], maxval=sigma[1]), kernel)

    return _sometimes(keys, images, probability, blurred)


def solarize(keys: Keys, images: Images, probability: float) -> Images:
    """Inverts what is lighter than the middle."""
    return _sometimes(keys, images, probability, lambda key, image: adjust.solarize(image))


def cutout(keys: Keys, images: Images, size: int, probability: float = 1.0) -> Images:
    """A black square of `size` pixels, whose middle is anywhere in the image (DeVries & Taylor 2017, section 3.2)."""

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
    """`change(key, image)` of each image, with this probability."""

    def one(key: UInt32[Array, "2"], image: Float[Array, "H W 3"]) -> Float[Array, "H W 3"]:
        coin, rest = jax.random.split(key)
        return jnp.where(jax.random.uniform(coin) < probability, change(rest, image), image)

    return jax.vmap(one)(keys, images)
