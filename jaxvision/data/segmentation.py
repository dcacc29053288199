"""Transforms of segmentation, which crop, resize, mirror and deform an image together with its label map.

Label maps are never interpolated: every pixel takes the class of the nearest one, and 255 outside the image.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from jaxvision.channels import Channels
from jaxvision.data import color, decode, transforms
from jaxvision.data.decode import Encoded, Pixels
from jaxvision.data.deformation import bend, colour, margin
from jaxvision.data.label_maps import UNLABELLED
from jaxvision.data.records import Record, carried
from jaxvision.data.transforms import FromFile, Transform

LabelMap = UInt8[np.ndarray, "_H _W"]
Shape = tuple[int, int]  # height, width

_BLACK: Channels = (0.0, 0.0, 0.0)


class _Span(NamedTuple):
    """The overlap of a window and the image along one axis."""

    cells: slice  # cells of the window that lie on the image
    low: float  # start of the part of the image under these cells, in pixels
    high: float  # end of that part
    nearest: Int[np.ndarray, "n"]  # the image's pixel under the centre of each of these cells


def train(
    size: Shape,
    *,
    scales: tuple[float, float] = (1.0, 1.0),
    shorter: int = 0,
    flip: float = 0.5,
    elastic: float = 0.0,
    rotate: float = 0.0,
    grey: float = 0.0,
    inner: Shape | None = None,
    mirror: bool = False,
    fill: Channels = _BLACK,
) -> Transform:
    """Return a transform that resizes an image by a random factor and takes a random crop.

    An image smaller than the crop lies at a random place in it.

    Args:
        size: (height, width) of the crop in pixels.
        scales: Bounds of the factor.
        shorter: The shorter side in pixels that the factor is of; 0: the image's own.
        flip: The probability of mirroring.
        elastic: Standard deviation in pixels of random displacements of 3×3 points, with cubic interpolation between
            them (Ronneberger et al. 2015, section 3.1); 0: no deformation.
        rotate: The largest angle in degrees by which the crop is turned, either way.
        grey: The largest relative change of brightness, and of contrast.
        inner: (height, width) of the middle of the crop, which alone the network labels. It lies inside the image and
            often at the image's border, so that every pixel is learned from; the crop reaches beyond.
        mirror: What lies outside the image is its mirror image, as in the overlap-tile strategy (figure 2), not `fill`.
        fill: RGB (0..255) outside the image.

    Returns:
        A transform from files to records with image uint8 [H, W, 3] and label_map uint8 [H, W], 255 outside the image.

    Raises:
        ValueError: `scales` are not positive and ascending.
    """
    if not 0 < scales[0] <= scales[1]:
        raise ValueError(f"view.scales={scales}: give two factors, the smaller first, such as 0.5,2.0")
    around = margin(size, elastic, rotate)
    return transforms.compose(
        FromFile(
            _random_crop,
            size=size,
            scales=scales,
            margin=around,
            fill=fill,
            inner=inner,
            mirror=mirror,
            shorter=shorter,
        ),
        transforms.horizontal_flip(flip),
        *([bend(elastic, rotate, around, fill)] if elastic or rotate else []),
        *([color.color_jitter(brightness=grey, contrast=grey)] if grey else []),
    )


def evaluate(size: Shape, *, shorter: int = 0, mirror: bool = False, fill: Channels = _BLACK) -> Transform:
    """Return a transform that puts the whole image at the top-left of a canvas, reduced where it does not fit.

    Args:
        size: (height, width) of the canvas in pixels.
        shorter: The shorter side in pixels that images are resized to before, also enlarged; 0: as they are.
        mirror: Around the image is its mirror image, not `fill`.
        fill: RGB (0..255) around the image.

    Returns:
        A transform from files to records with image, label_map, size float32 [2] (height, width of the image on the
        canvas) and original float32 [2] (height, width before).
    """
    return FromFile(_fit, size=size, fill=fill, mirror=mirror, shorter=shorter)


def nearest(labels: LabelMap, size: tuple[int, int]) -> LabelMap:
    """Resize a label map to `size` (height, width); every pixel takes the class of the nearest one."""
    if labels.shape == size:
        return labels
    return np.asarray(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def _random_crop(
    record: Record,
    rng: np.random.Generator,
    *,
    size: Shape,
    scales: tuple[float, float],
    margin: int,
    fill: Channels,
    inner: Shape | None,
    mirror: bool,
    shorter: int,
) -> Record:
    """Take a random crop of `size`, with `margin` more pixels on every side for a deformation."""
    width, height = decode.extent(record["image"])
    scale = float(rng.uniform(*scales)) * (shorter / min(width, height) if shorter else 1.0)
    scaled = max(1, round(height * scale)), max(1, round(width * scale))
    if inner is None:
        room = scaled[0] - size[0], scaled[1] - size[1]
        top, left = (int(rng.integers(min(0, more), max(0, more) + 1)) - margin for more in room)
    else:
        sides = zip(scaled, size, inner, strict=True)
        top, left = (_inside(rng, *one) - (one[1] - one[2]) // 2 - margin for one in sides)
    outer = size[0] + 2 * margin, size[1] + 2 * margin
    image, labels = window(record["image"], label_map_of(record), scaled, (top, left), outer, fill, mirror)
    return {**carried(record), "image": image, "label_map": labels}


def _inside(rng: np.random.Generator, length: int, size: int, inner: int) -> int:
    """Draw where the middle of a crop begins along one axis, inside an image of `length` pixels.

    Places up to half a middle before and behind the image are moved to its borders: otherwise only one place in
    hundreds would hold the outermost pixels.
    """
    room = length - inner
    if room < 0:
        return int(rng.integers(room, 1))
    return int(np.clip(rng.integers(-(inner // 2), room + inner // 2 + 1), 0, room))


def _fit(
    record: Record, rng: np.random.Generator, *, size: Shape, fill: Channels, mirror: bool, shorter: int
) -> Record:
    width, height = decode.extent(record["image"])
    labels = label_map_of(record) if "label_map" in record else np.full((height, width), UNLABELLED, np.uint8)
    scale = min(shorter / min(width, height) if shorter else 1.0, size[0] / height, size[1] / width)
    new = min(size[0], max(1, round(height * scale))), min(size[1], max(1, round(width * scale)))
    image, labels = window(record["image"], labels, new, (0, 0), size, fill, mirror)
    return {
        **carried(record),
        "image": image,
        "label_map": labels,
        "size": np.array(new, np.float32),
        "original": np.array((height, width), np.float32),
    }


def window(
    image: Pixels | Encoded,
    labels: LabelMap,
    scaled: Shape,
    corner: Shape,
    size: Shape,
    fill: Channels,
    mirror: bool = False,
) -> tuple[Pixels, LabelMap]:
    """Cut a window out of a resized image; it may reach beyond.

    Only the window is resized, and a JPEG is decoded at the scale this needs.

    Args:
        image: Decoded or undecoded.
        labels: Its label map.
        scaled: (height, width) that the whole image is resized to.
        corner: (top, left) of the window in pixels of the resized image.
        size: (height, width) of the window.
        fill: RGB (0..255) outside the image.
        mirror: Outside the image is its mirror image, not `fill`.

    Returns:
        The window of the image, and that of the label map, 255 outside the image.
    """
    rows, columns = (_span(*axis) for axis in zip(corner, size, scaled, labels.shape, strict=True))
    box = columns.low, rows.low, columns.high, rows.high
    part = decode.crop(image, box, (len(columns.nearest), len(rows.nearest)))
    known = labels[rows.nearest[:, None], columns.nearest[None]]
    if known.shape == size:
        return part, known
    unlabelled: np.ndarray = np.full(size, UNLABELLED, np.uint8)
    unlabelled[rows.cells, columns.cells] = known
    if mirror:
        down, across = (_mirrored(*axis) for axis in zip(corner, size, scaled, part.shape[:2], strict=True))
        return part.take(down, axis=0).take(across, axis=1), unlabelled
    # Pillow fills ten times faster than a broadcast of three bytes.
    canvas = np.array(Image.new("RGB", (size[1], size[0]), colour(fill)))
    canvas[rows.cells, columns.cells] = part
    return canvas, unlabelled


def _mirrored(corner: int, size: int, scaled: int, known: int) -> Int[np.ndarray, " n"]:
    """Return which of the `known` pixels of a window is at each of its `size` cells along one axis.

    Pixels outside the image are those as far inside; the outermost one is not repeated, as in `ops.looks.sliding`.
    """
    period = max(2 * (scaled - 1), 1)
    place = np.arange(corner, corner + size) % period
    return np.clip(np.minimum(place, period - place) - max(0, corner), 0, known - 1)


def _span(corner: int, size: int, scaled: int, length: int) -> _Span:
    first, last = max(0, corner), min(scaled, corner + size)
    nearest = ((np.arange(first, last) + 0.5) * length / scaled).astype(np.int64)
    return _Span(slice(first - corner, last - corner), first * length / scaled, last * length / scaled, nearest)


def label_map_of(record: Record) -> LabelMap:
    """Return a record's label map; ValueError where it has none."""
    if "label_map" not in record:
        raise ValueError("has no label map; segmentation needs a source with them (scenes, masks:DIR, voc:DIR)")
    return record["label_map"]
