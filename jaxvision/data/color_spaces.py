"""Colour spaces of Selective Search (Uijlings et al. 2013, section 3.2), with all channels in 0..1."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float32

from jaxvision.data.decode import Pixels

Colors = Float32[np.ndarray, "H W _C"]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of RGB (ITU-R BT.601)

# Linear sRGB to XYZ (IEC 61966-2-1), each row divided by its sum: the white point D65 becomes (1, 1, 1).
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], np.float64)
_WHITE_XYZ = (_XYZ / _XYZ.sum(axis=1, keepdims=True)).astype(np.float32)
_STEPS = np.arange(256) / 255
_LINEAR = np.where(_STEPS <= 0.04045, _STEPS / 12.92, ((_STEPS + 0.055) / 1.055) ** 2.4).astype(np.float32)


def convert(image: Pixels, space: str) -> Colors:
    """Convert an image to one of `SPACES`, float32 [H, W, C]; ValueError where there is no such space."""
    if space not in SPACES:
        raise ValueError(f"colour space {space!r}: choose of {', '.join(SPACES)}")
    return SPACES[space](image)


def _rgb(image: Pixels) -> Colors:
    return image.astype(np.float32) / 255


def _grey(image: Pixels) -> Colors:
    return (_rgb(image) @ LUMA)[..., None]


def _hsv(image: Pixels) -> Colors:
    """Hue in turns of the colour circle, saturation, value."""
    red, green, blue = np.moveaxis(_rgb(image), -1, 0)
    value = np.maximum(np.maximum(red, green), blue)
    span = value - np.minimum(np.minimum(red, green), blue)
    safe = np.where(span > 0, span, 1)
    hue = np.where(
        value == red,
        (green - blue) / safe % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    saturation = span / np.where(value > 0, value, 1)
    return np.stack([np.where(span > 0, hue / 6, 0), saturation, value], axis=-1).astype(np.float32)


def _hue(image: Pixels) -> Colors:
    return _hsv(image)[..., :1]


def _lab(image: Pixels) -> Colors:
    """CIE 1976 L*a*b* under D65; L* / 100, and a* and b* from -128..127 to 0..1."""
    xyz = _LINEAR[image] @ _WHITE_XYZ.T
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), xyz * np.float32(841 / 108) + np.float32(4 / 29))
    x, y, z = np.moveaxis(root, -1, 0)
    lab = [(116 * y - 16) / 100, (500 * (x - y) + 128) / 255, (200 * (y - z) + 128) / 255]
    return np.clip(np.stack(lab, axis=-1), 0, 1).astype(np.float32)


def _normalised(image: Pixels) -> Colors:
    """r, g, b as shares of their sum; a third each where the pixel is black."""
    total = image.sum(axis=-1, dtype=np.float32)[..., None]
    return np.where(total > 0, image / np.where(total > 0, total, 1), np.float32(1 / 3)).astype(np.float32)


def _rgi(image: Pixels) -> Colors:
    """The shares of red and green, and the intensity."""
    return np.concatenate([_normalised(image)[..., :2], _grey(image)], axis=-1)


def _opponent(image: Pixels) -> Colors:
    """The two opponent colours over the intensity: red - green and yellow - blue, which shadows leave alone."""
    red, green, blue = np.moveaxis(_normalised(image), -1, 0)
    return np.stack([(red - green + 1) / 2, (red + green - 2 * blue + 2) / 3], axis=-1)


SPACES: Mapping[str, Callable[[Pixels], Colors]] = {
    "rgb": _rgb,
    "grey": _grey,
    "lab": _lab,
    "rgi": _rgi,
    "hsv": _hsv,
    "normalised": _normalised,
    "opponent": _opponent,
    "hue": _hue,
}
"""The eight of the paper: RGB, I, Lab, rgI, HSV, rgb, C and H."""
