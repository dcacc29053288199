"""Smooth random deformations and rotations of an image together with its label map (Ronneberger et al. 2015)."""

import functools
import math

import numpy as np
from jaxtyping import Float, Num
from PIL import Image
from scipy import ndimage

from jaxvision.channels import Channels
from jaxvision.data.label_maps import UNLABELLED
from jaxvision.data.records import Record
from jaxvision.data.transforms import Transform

Shape = tuple[int, int]  # height, width

_GRID = 3  # control points of a deformation along each axis (section 3.1)
_CELLS = 16  # along each axis; a deformation is linear within a cell, at most a quarter of a pixel from the cubic
_REACH = 3.0  # standard deviations of a displacement: so far around the crop pixels are kept


def margin(size: Shape, sigma: float, rotate: float) -> int:
    """Return how many pixels around a crop a deformation may need.

    Args:
        size: (height, width) of the crop in pixels.
        sigma: Standard deviation of displacements in pixels.
        rotate: The largest angle in degrees.

    Returns:
        The pixels on every side.
    """
    angles = np.radians(np.linspace(0.0, min(abs(rotate), 90.0), 91))
    reach = max(float((np.cos(angles) * a + np.sin(angles) * b - a).max()) / 2 for a, b in (size, size[::-1]))
    return math.ceil(_REACH * sigma) + math.ceil(round(reach, 6))


def bend(sigma: float, rotate: float, around: int, fill: Channels) -> Transform:
    """Return a transform that deforms image and label map alike, and cuts off what lies around the crop.

    Args:
        sigma: Standard deviation in pixels of the displacements of 3×3 points; 0: none.
        rotate: The largest angle in degrees by which the crop is turned about its middle, either way; 0: none.
        around: Pixels around the crop, see `margin`.
        fill: RGB (0..255) outside the picture.

    Returns:
        A transform of records with image and label_map.
    """
    return functools.partial(_bend, sigma=sigma, margin=around, fill=fill, rotate=rotate)


def colour(fill: Channels) -> tuple[int, int, int]:
    """Return a colour in whole numbers, as Pillow takes it."""
    red, green, blue = (round(value) for value in fill)
    return red, green, blue


def _bend(
    record: Record, rng: np.random.Generator, *, sigma: float, margin: int, fill: Channels, rotate: float
) -> Record:
    height, width = (side - 2 * margin for side in record["label_map"].shape)
    shifts = rng.normal(0, sigma, (2, _GRID, _GRID)) if sigma else np.zeros((2, _GRID, _GRID))
    angle = math.radians(rng.uniform(-rotate, rotate)) if rotate else 0.0
    mesh = _mesh(shifts, (height, width), margin, angle)
    bent = {}
    for key, resample, outside in (
        ("image", Image.Resampling.BILINEAR, colour(fill)),
        ("label_map", Image.Resampling.NEAREST, UNLABELLED),
    ):
        picture = Image.fromarray(record[key])
        bent[key] = np.asarray(
            picture.transform((width, height), Image.Transform.MESH, mesh, resample, fillcolor=outside)
        )
    return {**record, **bent}


def _mesh(
    shifts: Float[np.ndarray, "2 g g"], size: Shape, margin: int, angle: float = 0.0
) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """Return cells (x0, y0, x1, y1) that cover `size`, each with the four source corners of its content.

    Corners are listed counter-clockwise from the top left, as Pillow expects. Displacements (y, x) are interpolated
    cubically from control points, on a regular grid over the image, to the corners of cells, and linearly within cells.
    The turn by `angle` (radians) about the middle comes before them.
    """
    rows, columns = (np.unique(np.rint(np.linspace(0, side, _CELLS + 1)).astype(np.int64)) for side in size)
    at = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    points = at * (_GRID - 1) / np.array(size).reshape(2, 1, 1)
    smooth = np.stack([ndimage.map_coordinates(shift, points, order=3, mode="nearest") for shift in shifts])
    source = np.moveaxis((_turned(at, size, angle) + smooth + margin)[::-1], 0, -1)
    corners = source[:-1, :-1], source[1:, :-1], source[1:, 1:], source[:-1, 1:]
    quads = np.concatenate(corners, axis=-1).reshape(-1, 8).tolist()
    places = np.moveaxis(at[::-1], 0, -1)
    boxes = np.concatenate((places[:-1, :-1], places[1:, 1:]), axis=-1).reshape(-1, 4).tolist()
    return [(tuple(box), tuple(quad)) for box, quad in zip(boxes, quads, strict=True)]


def _turned(at: Num[np.ndarray, "2 h w"], size: Shape, angle: float) -> Num[np.ndarray, "2 h w"]:
    """Turn points (y, x) about the middle of a picture by an angle in radians."""
    if not angle:
        return at
    middle = np.array(size).reshape(2, 1, 1) / 2
    y, x = at - middle
    turned = np.stack((math.cos(angle) * y + math.sin(angle) * x, math.cos(angle) * x - math.sin(angle) * y))
    return turned + middle
