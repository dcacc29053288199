"""Segmentation's transforms: an image and its label map are cropped, resized, mirrored and bent together.

Label maps are never interpolated: every pixel takes the class of the nearest one. What lies outside the image is 255.
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
_CELLS = 16  # along each axis; within one a deformation is linear, a quarter of a pixel at most from the cubic
_REACH = 3.0  # standard deviations of a displacement that find pixels of the image beyond the crop


class _Span(NamedTuple):
    """Along one axis of a window: which of its cells show the image, and which part of the image they show."""

    cells: slice
    low: float
    high: float
    nearest: Int[np.ndarray, "n"]  # the image's pixel under the centre of each of the cells


def train(
    size: tuple[int, int],
    *,
    scales: tuple[float, float] = (1.0, 1.0),
    flip: float = 0.5,
    elastic: float = 0.0,
    fill: Channels = _BLACK,
) -> Transform:
    """A random crop of `size` (height, width), of the image resized by a random factor from `scales`.

    Where the image is smaller, it is surrounded by `fill` (0..255), at random sides. `flip` is the probability of
    mirroring; `elastic` the standard deviation, in pixels, of random displacements on a grid of 3×3 points, between
    which they are interpolated cubically. The record becomes image uint8 [H, W, 3] and label_map uint8 [H, W].
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
    """The whole image at the top-left of a canvas (height, width), made smaller where it does not fit.

    The record becomes image and label_map, size float32 [2] (height, width of the image on the canvas) and original
    float32 [2] (of the image as it was).
    """
    return FromFile(_fit, size=size, fill=fill)


def nearest(labels: LabelMap, size: tuple[int, int]) -> LabelMap:
    """A label map resized to `size` (height, width): every pixel takes the class of the nearest one."""
    if labels.shape == size:
        return labels
    return np.asarray(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def _random_crop(
    record: Record, rng: np.random.Generator, *, size: Shape, scales: tuple[float, float], margin: int, fill: Channels
) -> Record:
    """A random part of `size`, and `margin` more on every side, which a deformation draws from."""
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
    """What a window of `size` at `corner` (top, left) shows of the image resized to `scaled`; it may reach beyond.

    Only that part is resized, and a JPEG decoded at the scale it needs.
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
    """Elastic deformation: pixels come from where smooth random displacements point; the margin is used up."""
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
    """Cells (x0, y0, x1, y1) that cover `size`, and the corners of what each shows: the four from top-left, leftwards.

    The displacements (y, x) are interpolated cubically between control points, which stand at the corners of the image
    and between, to the corners of the cells, and linearly within these.
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
