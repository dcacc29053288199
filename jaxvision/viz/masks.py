"""Instance masks over their image."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8

from jaxvision.viz.text import Color

_OPACITY = 0.45


def paste(
    crop: Shaped[np.ndarray, "M M"], box: Float[np.ndarray, " 4"], shape: tuple[int, int]
) -> Float[np.ndarray, "H W"]:
    """A mask cut to `box` (x0, y0, x1, y1 in pixels) as a mask of the whole image, bilinear at the centres of pixels.

    Half a cell beyond the box it fades to 0, being half way at the box's own border: at least 0.5 is the object.
    """
    image = np.zeros(shape)
    x0, y0, x1, y1 = box.tolist()
    if x1 <= x0 or y1 <= y0:
        return image
    rows, top = _weights(y0, y1, shape[0], len(crop))
    columns, left = _weights(x0, x1, shape[1], len(crop))
    image[top : top + len(rows), left : left + len(columns)] = rows @ crop.astype(np.float64) @ columns.T
    return image


def overlay(
    image: UInt8[np.ndarray, "H W 3"],
    masks: Bool[np.ndarray, "N H W"] | Sequence[Bool[np.ndarray, "H W"]],
    colors: Sequence[Color],
    *,
    line: int = 2,
) -> UInt8[np.ndarray, "H W 3"]:
    """Each mask tinted with its colour and surrounded by it, `line` pixels wide inside the mask; later ones on top."""
    if len(masks) != len(colors):
        raise ValueError(f"overlay: {len(colors)} colors for {len(masks)} masks; give one for each")
    picture = image.copy()
    for mask, color in zip(masks, colors, strict=True):
        tint = (1 - _OPACITY) * picture[mask] + _OPACITY * np.array(color)[None]
        picture[mask] = np.rint(tint).astype(np.uint8)
        picture[mask & ~_eroded(mask, line)] = color
    return picture


def _weights(low: float, high: float, pixels: int, cells: int) -> tuple[Float[np.ndarray, "S M"], int]:
    """What each cell gives to the pixels from the returned one on; the others get nothing."""
    reach = (high - low) / cells / 2
    first = int(np.clip(np.floor(low - reach), 0, pixels))
    last = int(np.clip(np.ceil(high + reach), first, pixels))
    at = (np.arange(first, last) + 0.5 - low) / (high - low) * cells - 0.5
    return np.maximum(1 - np.abs(at[:, None] - np.arange(cells)[None]), 0.0), first


def _eroded(mask: Bool[np.ndarray, "H W"], times: int) -> Bool[np.ndarray, "H W"]:
    """Without the pixels less than `times` steps from the background; beyond the image it goes on."""
    for _ in range(times):
        wide = np.pad(mask, 1, mode="edge")
        mask = mask & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask
