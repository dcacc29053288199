"""Instance masks over their image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from jaxvision.viz.text import Color

_OPACITY = 0.45


class Patch(NamedTuple):
    """The part of a pasted mask that is not 0, and its first pixel in the image."""

    values: Float[np.ndarray, "h w"]
    top: int
    left: int


def paste(
    crop: Shaped[np.ndarray, "M M"], box: Float[np.ndarray, " 4"], shape: tuple[int, int]
) -> Float[np.ndarray, "H W"]:
    """A mask cut to `box` (x0, y0, x1, y1 in pixels) as a mask of the whole image; see `paste_patch`."""
    values, top, left = paste_patch(crop, box, shape)
    image = np.zeros(shape)
    image[top : top + values.shape[0], left : left + values.shape[1]] = values
    return image


def paste_patch(crop: Shaped[np.ndarray, "M M"], box: Float[np.ndarray, " 4"], shape: tuple[int, int]) -> Patch:
    """A mask cut to `box` as it lies in an image of `shape`: bilinear at the centres of pixels, from 0 to 1.

    Half a cell beyond the box it fades to 0, being half way at the box's own border: at least 0.5 is the object. Crops
    are 0 to 1, or 0 to 255 where they are uint8.
    """
    x0, y0, x1, y1 = box.tolist()
    if x1 <= x0 or y1 <= y0:
        return Patch(np.zeros((0, 0)), 0, 0)
    values = np.pad(crop.astype(np.float64) / (255.0 if crop.dtype == np.uint8 else 1.0), 1)
    rows, down, top = _samples(y0, y1, shape[0], len(crop))
    columns, across, left = _samples(x0, x1, shape[1], len(crop))
    lines = values[rows] + down[:, None] * (values[rows + 1] - values[rows])
    return Patch(lines[:, columns] + across[None] * (lines[:, columns + 1] - lines[:, columns]), top, left)


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


def _samples(
    low: float, high: float, pixels: int, cells: int
) -> tuple[Int[np.ndarray, " S"], Float[np.ndarray, " S"], int]:
    """For each pixel that is not 0, the cell before its centre (0 is the padding) and how far it is to the next; and
    the first such pixel."""
    reach = (high - low) / cells / 2
    first = int(np.clip(np.floor(low - reach), 0, pixels))
    last = int(np.clip(np.ceil(high + reach), first, pixels))
    at = np.clip((np.arange(first, last) + 0.5 - low) / (high - low) * cells + 0.5, 0, cells + 1)
    cell = np.minimum(at.astype(np.int64), cells)
    return cell, at - cell, first


def _eroded(mask: Bool[np.ndarray, "H W"], times: int) -> Bool[np.ndarray, "H W"]:
    """Without the pixels less than `times` steps from the background; beyond the image it goes on."""
    for _ in range(times):
        wide = np.pad(mask, 1, mode="edge")
        mask = mask & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask
