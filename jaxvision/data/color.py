"""Colour augmentation of uint8 RGB images: AlexNet's PCA noise, and jitter of brightness, contrast, saturation, hue."""

import functools
from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image, ImageEnhance

from jaxvision.data import decode
from jaxvision.data.decode import Pixels
from jaxvision.data.records import Record
from jaxvision.data.transforms import Transform

# Principal components of ImageNet's RGB values in 0..1, as the Torch and MXNet trainers published them; one component
# is a column. `principal_components` computes those of other data.
IMAGENET_EIGENVALUES = np.array([0.2175, 0.0188, 0.0045], np.float32)
IMAGENET_EIGENVECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]], np.float32
)


def pca_noise(
    std: float = 0.1,
    eigenvalues: Float32[np.ndarray, "3"] = IMAGENET_EIGENVALUES,
    eigenvectors: Float32[np.ndarray, "3 3"] = IMAGENET_EIGENVECTORS,
) -> Transform:
    """Return a transform that adds sum_i a_i λ_i p_i to every pixel (Krizhevsky et al. 2012, section 4.1).

    The a_i ~ N(0, std) are drawn once an image; the result is rounded and clipped to 0..255.

    Args:
        std: Standard deviation of the a_i.
        eigenvalues: λ, of the covariance of RGB in 0..1.
        eigenvectors: p, as columns.

    Returns:
        A transform of the image.
    """
    return functools.partial(_pca_noise, std=std, eigenvalues=eigenvalues, eigenvectors=eigenvectors)


def color_jitter(
    brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0, hue: float = 0.0
) -> Transform:
    """Return a transform that changes brightness, contrast, saturation and hue in random order (Howard 2013).

    An amount of 0 leaves its property alone.

    Args:
        brightness: x of a factor from [max(0, 1 - x), 1 + x].
        contrast: x of a factor, likewise.
        saturation: x of a factor, likewise.
        hue: The largest shift of the hue either way, in turns of the colour circle; at most 0.5.

    Returns:
        A transform of the image.

    Raises:
        ValueError: An amount is negative, or `hue` above 0.5.
    """
    if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
        raise ValueError("color_jitter: the amounts are at least 0, and hue at most 0.5")
    amounts = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
    return functools.partial(_color_jitter, amounts={name: amount for name, amount in amounts.items() if amount})


def hsv_jitter(saturation: float = 1.5, exposure: float = 1.5, hue: float = 0.0) -> Transform:
    """Return a transform that changes saturation, exposure and hue in HSV (Redmon et al. 2016, section 2.2).

    Factors are drawn from 1 to the one given and inverted at random, as in darknet.

    Args:
        saturation: The largest factor of the saturation, at least 1.
        exposure: The largest factor of the value, at least 1.
        hue: The largest shift of the hue either way, in turns of the colour circle; at most 0.5.

    Returns:
        A transform of the image.

    Raises:
        ValueError: A factor is below 1, or `hue` not from 0 to 0.5.
    """
    if min(saturation, exposure) < 1 or not 0 <= hue <= 0.5:
        raise ValueError("hsv_jitter: the factors are at least 1, and hue is from 0 to 0.5")
    return functools.partial(_hsv_jitter, factors=(saturation, exposure), turn=hue)


def photometric() -> Transform:
    """Return GoogLeNet's distortions: factors of 0.5 to 1.5 (Szegedy et al. 2014, section 6, after Howard 2013)."""
    return color_jitter(brightness=0.5, contrast=0.5, saturation=0.5)


def principal_components(
    images: Iterable[Pixels],
) -> tuple[Float32[np.ndarray, "3"], Float32[np.ndarray, "3 3"]]:
    """Return eigenvalues, descending, and eigenvectors (columns) of the covariance of RGB in 0..1 over all pixels."""
    count, total, outer = 0, np.zeros(3), np.zeros((3, 3))
    for image in images:
        values = image.reshape(-1, 3).astype(np.float64) / 255
        count, total, outer = count + len(values), total + values.sum(axis=0), outer + values.T @ values
    if not count:
        raise ValueError("principal_components: no images given")
    mean = total / count
    eigenvalues, eigenvectors = np.linalg.eigh(outer / count - np.outer(mean, mean))
    return eigenvalues[::-1].astype(np.float32), eigenvectors[:, ::-1].astype(np.float32)


def _pca_noise(
    record: Record,
    rng: np.random.Generator,
    *,
    std: float,
    eigenvalues: Float[np.ndarray, "3"],
    eigenvectors: Float[np.ndarray, "3 3"],
) -> Record:
    shift = 255 * eigenvectors @ (rng.normal(0, std, 3) * eigenvalues)
    # One table of 256 values a channel does for all pixels what float arithmetic would.
    table = np.clip(np.rint(np.arange(256)[:, None] + shift[None, :]), 0, 255).astype(np.uint8)
    image = Image.fromarray(decode.pixels(record["image"]))
    return {**record, "image": np.asarray(image.point(table.T.ravel().tolist()))}


def _color_jitter(record: Record, rng: np.random.Generator, *, amounts: dict[str, float]) -> Record:
    image = Image.fromarray(decode.pixels(record["image"]))
    for name in rng.permutation(sorted(amounts)):
        amount = amounts[name]
        low = -amount if name == "hue" else max(0.0, 1 - amount)
        high = amount if name == "hue" else 1 + amount
        image = _ADJUST[name](image, rng.uniform(low, high))
    return {**record, "image": np.asarray(image)}


def _hsv_jitter(record: Record, rng: np.random.Generator, *, factors: tuple[float, float], turn: float) -> Record:
    hue, *others = Image.fromarray(decode.pixels(record["image"])).convert("HSV").split()
    turned = round(rng.uniform(-turn, turn) * 255)
    bands = [hue.point([(level + turned) % 256 for level in range(256)])]
    for band, most in zip(others, factors, strict=True):
        factor = rng.uniform(1, most) ** rng.choice((-1.0, 1.0))
        bands.append(band.point([min(255, round(level * factor)) for level in range(256)]))
    return {**record, "image": np.asarray(Image.merge("HSV", bands).convert("RGB"))}


def _brightness(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def _contrast(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(factor)


def _saturation(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Color(image).enhance(factor)


def _hue(image: Image.Image, turn: float) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    turned = hue.point([(level + round(turn * 255)) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


_ADJUST: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
}
