"""Transforms of segmentation, which crop, resize, mirror and deform an image together with its label map.

Label maps are never interpolated: every pixel takes the class of the nearest one, and 255 outside the image.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image
from scipy import ndimage

from jaxvision.channels import Channels
from jaxvision.data import decode, transforms
from jaxvision.data.decode import Encoded, Pixels
from jaxvision.data.label_maps import UNLABELLED
from jaxvision.data.records import Record, carried
from jaxvision.data.transforms import FromFile, Transform

LabelMap = UInt8[np.ndarray, "_H _W"]
Shape = tuple[int, int]  # height, width

_BLACK: Channels = (0.0, 0.0, 0.0)
_GRID = 3  # control points of a deformation along each axis (Ronneberger et al. 2015, section 3.1)
_CELLS = 16  # along each axis; a deformation is linear within a cell, at most a quarter of a pixel from the cubic
_REACH = 3.0  # standard deviations of a displacement: so far around the crop pixels are kept


class _Span(NamedTuple):
    """The overlap of a window and the image along one axis."""

    cells: slice  # cells of the window that lie on the image
    low: float  # start of the part of the image under these cells, in pixels
    high: float  # end of that part
    nearest: Int[np.ndarray, "n"]  # the image's pixel under the centre of each of these cells


def train(
    size: tuple[int, int],
    *,
    scales: tuple[float, float] = (1.0, 1.0),
    flip: float = 0.5,
    elastic: float = 0.0,
    fill: Channels = _BLACK,
) -> Transform:
    """Return a transform that resizes an image by a random factor and takes a random crop.

    An image smaller than the crop lies at a random place in it.

    Args:
        size: (height, width) of the crop in pixels.
        scales: Bounds of the factor.
        flip: The probability of mirroring.
        elastic: Standard deviation in pixels of random displacements of 3×3 points, with cubic interpolation between
            them (Ronneberger et al. 2015, section 3.1); 0: no deformation.
        fill: RGB (0..255) outside the image.

    Returns:
        A transform from files to records with image uint8 [H, W, 3] and label_map uint8 [H, W].

    Raises:
        ValueError: `scales` are not positive and ascending.
    """
    if not 0 < scales[0] <= scales[1]:
        raise ValueError(f"view.scales={scales}: give two factors, the smaller first, such as 0.5,2.0")
    margin = math.ceil(_REACH * elastic)
    steps = [
        FromFile(_random_crop, size=size, scales=scales, margin=margin, fill=fill),
        transforms.horizontal_flip(flip),
        *([functools.partial(_bend, sigma=elastic, margin=margin, fill=fill)] if elastic else []),
    ]
    return transforms.compose(*steps)


def evaluate(size: tuple[int, int], *, fill: Channels = _BLACK) -> Transform:
    """Return a transform that puts the whole image at the top-left of a canvas, reduced where it does not fit.

    `size` is (height, width) of the canvas, `fill` its RGB (0..255) around the image. Records become image, label_map,
    size float32 [2] (height, width of the image on the canvas) and original float32 [2] (height, width before).
    """
    return FromFile(_fit, size=size, fill=fill)


def nearest(labels: LabelMap, size: tuple[int, int]) -> LabelMap:
    """Resize a label map to `size` (height, width); every pixel takes the class of the nearest one."""
    if labels.shape == size:
        return labels
    return np.asarray(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def _random_crop(
    record: Record, rng: np.random.Generator, *, size: Shape, scales: tuple[float, float], margin: int, fill: Channels
) -> Record:
    """Take a random crop of `size`, with `margin` more pixels on every side for a deformation."""
    width, height = decode.extent(record["image"])
    scale = float(rng.uniform(*scales))
    scaled = max(1, round(height * scale)), max(1, round(width * scale))
    room = scaled[0] - size[0], scaled[1] - size[1]
    top, left = (int(rng.integers(min(0, more), max(0, more) + 1)) - margin for more in room)
    window = size[0] + 2 * margin, size[1] + 2 * margin
    image, labels = _window(record["image"], _labels(record), scaled, (top, left), window, fill)
    return {**carried(record), "image": image, "label_map": labels}


def _fit(record: Record, rng: np.random.Generator, *, size: Shape, fill: Channels) -> Record:
    width, height = decode.extent(record["image"])
    labels = _labels(record) if "label_map" in record else np.full((height, width), UNLABELLED, np.uint8)
    scale = min(1.0, size[0] / height, size[1] / width)
    new = min(size[0], max(1, round(height * scale))), min(size[1], max(1, round(width * scale)))
    image, labels = _window(record["image"], labels, new, (0, 0), size, fill)
    return {
        **carried(record),
        "image": image,
        "label_map": labels,
        "size": np.array(new, np.float32),
        "original": np.array((height, width), np.float32),
    }


def _window(
    image: Pixels | Encoded, labels: LabelMap, scaled: Shape, corner: Shape, size: Shape, fill: Channels
) -> tuple[Pixels, LabelMap]:
    """Cut a window of `size` at `corner` (top, left) out of the image resized to `scaled`; it may reach beyond.

    Only the window is resized, and a JPEG is decoded at the scale this needs.
    """
    rows, columns = (_span(*axis) for axis in zip(corner, size, scaled, labels.shape, strict=True))
    box = columns.low, rows.low, columns.high, rows.high
    part = decode.crop(image, box, (len(columns.nearest), len(rows.nearest)))
    known = labels[rows.nearest[:, None], columns.nearest[None]]
    if known.shape == size:
        return part, known
    # Pillow fills ten times faster than a broadcast of three bytes.
    canvas = np.array(Image.new("RGB", (size[1], size[0]), _colour(fill)))
    unlabelled: np.ndarray = np.full(size, UNLABELLED, np.uint8)
    canvas[rows.cells, columns.cells], unlabelled[rows.cells, columns.cells] = part, known
    return canvas, unlabelled


def _span(corner: int, size: int, scaled: int, length: int) -> _Span:
    first, last = max(0, corner), min(scaled, corner + size)
    nearest = ((np.arange(first, last) + 0.5) * length / scaled).astype(np.int64)
    return _Span(slice(first - corner, last - corner), first * length / scaled, last * length / scaled, nearest)


def _bend(record: Record, rng: np.random.Generator, *, sigma: float, margin: int, fill: Channels) -> Record:
    """Deform image and label map by smooth random displacements, and cut the margin off."""
    height, width = (side - 2 * margin for side in record["label_map"].shape)
    mesh = _mesh(rng.normal(0, sigma, (2, _GRID, _GRID)), (height, width), margin)
    bent = {}
    for key, resample, outside in (
        ("image", Image.Resampling.BILINEAR, _colour(fill)),
        ("label_map", Image.Resampling.NEAREST, UNLABELLED),
    ):
        picture = Image.fromarray(record[key])
        bent[key] = np.asarray(
            picture.transform((width, height), Image.Transform.MESH, mesh, resample, fillcolor=outside)
        )
    return {**record, **bent}


def _mesh(
    shifts: Float[np.ndarray, "2 g g"], size: Shape, margin: int
) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """Return cells (x0, y0, x1, y1) that cover `size`, each with the four source corners of its content.

    Corners are listed counter-clockwise from the top left, as Pillow expects. Displacements (y, x) are interpolated
    cubically from control points, on a regular grid over the image, to the corners of cells, and linearly within cells.
    """
    rows, columns = (np.unique(np.rint(np.linspace(0, side, _CELLS + 1)).astype(np.int64)) for side in size)
    at = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    points = at * (_GRID - 1) / np.array(size).reshape(2, 1, 1)
    smooth = np.stack([ndimage.map_coordinates(shift, points, order=3, mode="nearest") for shift in shifts])
    source = np.moveaxis((at + smooth + margin)[::-1], 0, -1)
    corners = source[:-1, :-1], source[1:, :-1], source[1:, 1:], source[:-1, 1:]
    quads = np.concatenate(corners, axis=-1).reshape(-1, 8).tolist()
    places = np.moveaxis(at[::-1], 0, -1)
    boxes = np.concatenate((places[:-1, :-1], places[1:, 1:]), axis=-1).reshape(-1, 4).tolist()
    return [(tuple(box), tuple(quad)) for box, quad in zip(boxes, quads, strict=True)]


def _colour(fill: Channels) -> tuple[int, int, int]:
    red, green, blue = (round(value) for value in fill)
    return red, green, blue


def _labels(record: Record) -> LabelMap:
    if "label_map" not in record:
        raise ValueError("has no label map; segmentation needs a source with them (scenes, masks:DIR, voc:DIR)")
    return record["label_map"]
