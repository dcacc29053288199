"""Pictures of instance masks over their image."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from jaxvision.viz.text import Color

_OPACITY = 0.45


class Patch(NamedTuple):
    """The part of a pasted mask that is not 0, and the position of its first pixel in the image."""

    values: Float[np.ndarray, "h w"]
    top: int
    left: int


def paste(
    crop: Shaped[np.ndarray, "M M"], box: Float[np.ndarray, " 4"], shape: tuple[int, int]
) -> Float[np.ndarray, "H W"]:
    """Paste a mask that is cut to a box into a mask of the whole image; see `paste_patch`.

    Args:
        crop: the mask, with the box as its extent.
        box: x0, y0, x1, y1 in pixels.
        shape: height and width of the image in pixels.
    """
    values, top, left = paste_patch(crop, box, shape)
    image = np.zeros(shape)
    image[top : top + values.shape[0], left : left + values.shape[1]] = values
    return image


def paste_patch(crop: Shaped[np.ndarray, "M M"], box: Float[np.ndarray, " 4"], shape: tuple[int, int]) -> Patch:
    """Resample a mask that is cut to a box, bilinearly at the centres of the image's pixels.

    Half a cell beyond the box the mask fades to 0; at the box's border it is half its value. A pixel belongs to the
    object where the mask is at least 0.5.

    Args:
        crop: the mask, from 0 to 1, or from 0 to 255 if it is uint8.
        box: x0, y0, x1, y1 in pixels.
        shape: height and width of the image in pixels.
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
    """Tint each mask in its colour and draw its outline; later masks lie on top.

    Args:
        image: the image under the masks.
        masks: a mask of the whole image for each object.
        colors: an RGB colour for each object.
        line: width of the outline in pixels, inside the mask.
    """
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
    """Return the cell before the centre of each pixel that is not 0 (0 is padding), and the distance to the next.

    The last value is the first such pixel.
    """
    reach = (high - low) / cells / 2
    first = int(np.clip(np.floor(low - reach), 0, pixels))
    last = int(np.clip(np.ceil(high + reach), first, pixels))
    at = np.clip((np.arange(first, last) + 0.5 - low) / (high - low) * cells + 0.5, 0, cells + 1)
    cell = np.minimum(at.astype(np.int64), cells)
    return cell, at - cell, first


def _eroded(mask: Bool[np.ndarray, "H W"], times: int) -> Bool[np.ndarray, "H W"]:
    """Remove the pixels less than `times` steps from the background; the mask continues beyond the image."""
    for _ in range(times):
        wide = np.pad(mask, 1, mode="edge")
        mask = mask & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask
