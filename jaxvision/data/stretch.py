"""Transforms of YOLO, which stretch the image, or in training a random window, to a square.

Their records are those of `canvas.Canvases.evaluate`, with an image that fills its canvas, so that height and width
have different scales. `one_object` cuts out a single object instead, for classification.
"""

import functools
import math

import numpy as np
from jaxtyping import Float32

from jaxvision.channels import Channels
from jaxvision.data import canvas, color, decode, transforms
from jaxvision.data.decode import Box, Pixels
from jaxvision.data.objects import inside
from jaxvision.data.records import Record, carried
from jaxvision.data.transforms import FromFile, Transform

_LEAST_SIDE = 0.01  # of the canvas: darknet drops an object of which the border leaves less


def stretched(size: int, max_boxes: int) -> Transform:
    """Return a transform that resizes an image of any shape to `size`×`size` (Redmon et al. 2016, figure 1)."""
    return transforms.compose(
        FromFile(_cut, size=size, jitter=0.0, fill=(0.0, 0.0, 0.0)),
        functools.partial(canvas.place, max_boxes=max_boxes, fill=(0.0, 0.0, 0.0)),
    )


def jittered(
    size: int,
    max_boxes: int,
    *,
    regions: int = 0,
    jitter: float = 0.2,
    saturation: float = 1.5,
    exposure: float = 1.5,
    hue: float = 0.0,
    flip: float = 0.5,
    fill: Channels = (0.0, 0.0, 0.0),
) -> Transform:
    """Return a transform with random scale, translation, colours and mirroring (Redmon et al. 2016, section 2.2).

    Boxes are cut at the new edges and dropped where less than 1 % of the side is left. The order of objects is random,
    since it decides between two in one cell.

    Args:
        size: Side of the square in pixels.
        max_boxes: The most objects of an image.
        regions: Further slots, for regions that cover the objects that do not fit, see `canvas.place`.
        jitter: Each edge moves in or out by up to this share of the side, as in darknet.
        saturation: See `color.hsv_jitter`.
        exposure: See `color.hsv_jitter`.
        hue: See `color.hsv_jitter`.
        flip: The probability of mirroring.
        fill: RGB (0..255) outside of the image.

    Returns:
        A transform from files.
    """
    return transforms.compose(
        FromFile(_cut, size=size, jitter=jitter, fill=fill),
        *_tint(saturation, exposure, hue),
        transforms.horizontal_flip(flip),
        _shuffle,
        functools.partial(canvas.place, max_boxes=max_boxes, regions=regions, fill=fill),
    )


def one_object(
    size: int,
    *,
    context: tuple[float, float] = (1.05, 1.5),
    saturation: float = 1.5,
    exposure: float = 1.5,
    hue: float = 0.0,
    flip: float = 0.5,
    fill: Channels = (0.0, 0.0, 0.0),
) -> Transform:
    """Return a transform that cuts out a random object, as "image" uint8 [size, size, 3] and "label".

    The window has the aspect ratio of the image, holds the object at a random place, and is stretched as the whole
    image would be. From an image without objects that count, a random window of a fifth to half of the sides gets label
    0, the background.

    Args:
        size: Side of the square in pixels.
        context: Bounds of the window's size, as a multiple of the smallest window that holds the object; small, so that
            other objects seldom lie in it.
        saturation: See `color.hsv_jitter`.
        exposure: See `color.hsv_jitter`.
        hue: See `color.hsv_jitter`.
        flip: The probability of mirroring.
        fill: RGB (0..255) outside of the image.

    Returns:
        A transform from files.
    """
    return transforms.compose(
        FromFile(_one, size=size, context=context, fill=fill),
        *_tint(saturation, exposure, hue),
        transforms.horizontal_flip(flip),
    )


def _one(
    record: Record, rng: np.random.Generator, *, size: int, context: tuple[float, float], fill: Channels
) -> Record:
    width, height = decode.extent(record["image"])
    counts = np.flatnonzero(~canvas.ignored(record, len(record["boxes"])))
    extent = np.array([width, height], np.float64)
    if len(counts):
        chosen = rng.choice(counts)
        label, low, high = record["labels"][chosen], record["boxes"][chosen, :2], record["boxes"][chosen, 2:]
        sides = extent * ((high - low) / extent).max() * rng.uniform(*context)
        left, top = rng.uniform(high - sides, low)
    else:
        label, sides = np.int32(0), extent * rng.uniform(0.2, 0.5)
        left, top = rng.uniform(0, extent - sides)
    window = (float(left), float(top), float(left + sides[0]), float(top + sides[1]))
    return {"image": _window(record["image"], window, size, fill), "label": label}


def _tint(saturation: float, exposure: float, hue: float) -> list[Transform]:
    """Return HSV jitter, or nothing where it would change nothing."""
    return [color.hsv_jitter(saturation, exposure, hue)] if (saturation, exposure, hue) != (1.0, 1.0, 0.0) else []


def _cut(record: Record, rng: np.random.Generator, *, size: int, jitter: float, fill: Channels) -> Record:
    """Cut out the window between the moved edges, resize it to `size`×`size`, and move the objects with it."""
    width, height = decode.extent(record["image"])
    left, top, right, bottom = rng.uniform(-jitter, jitter, 4) * (width, height, width, height)
    window = (left, top, width - right, height - bottom)
    scale = np.array([size / (window[3] - window[1]), size / (window[2] - window[0])], np.float32)
    boxes = record.get("boxes", np.zeros((0, 4), np.float32))
    moved, kept = _move(boxes, window, scale, size)
    return {
        **carried(record),
        "image": _window(record["image"], window, size, fill),
        "boxes": moved[kept],
        "labels": record.get("labels", np.zeros(0, np.int32))[kept],
        "ignore": canvas.ignored(record, len(boxes))[kept],
        "area": canvas.areas(record, len(boxes))[kept],
        "scale": scale,
        "canvas": (size, size),
    }


def _move(
    boxes: Float32[np.ndarray, "N 4"], window: Box, scale: Float32[np.ndarray, "2"], size: int
) -> tuple[Float32[np.ndarray, "N 4"], np.ndarray]:
    """Return the boxes in pixels of the square, cut at its edges, and True for those with enough left."""
    moved = (boxes - np.array([window[:2] * 2], np.float32)) * scale[[1, 0, 1, 0]][None]
    clipped, kept = inside(moved, size, size)
    whole = (moved[:, 2:] - moved[:, :2]).min(axis=1)
    least = np.minimum(whole, _LEAST_SIDE * size)  # an object that was smaller before the cut stays
    return clipped, kept & ((clipped[:, 2:] - clipped[:, :2]).min(axis=1) >= 0.999 * least)


def _window(image: Pixels | decode.Encoded, window: Box, size: int, fill: Channels) -> Pixels:
    """Resize the window to a square, with `fill` in all pixels that do not lie wholly on the image."""
    width, height = decode.extent(image)
    x0, x1, left, right = _span(window[0], window[2], width, size)
    y0, y1, top, bottom = _span(window[1], window[3], height, size)
    part = decode.crop(image, (left, top, right, bottom), (x1 - x0, y1 - y0))
    if part.shape == (size, size, 3):
        return part
    square = np.broadcast_to(np.rint(fill).astype(np.uint8), (size, size, 3)).copy()
    square[y0:y1, x0:x1] = part
    return square


def _span(low: float, high: float, length: int, size: int) -> tuple[int, int, float, float]:
    """Return, along one axis, the range of the square's pixels on the image, and the part of the image they show."""
    step = (high - low) / size
    first, last = max(0, math.ceil(-low / step)), min(size, math.floor((length - low) / step))
    return first, last, max(0.0, low + first * step), min(float(length), low + last * step)


def _shuffle(record: Record, rng: np.random.Generator) -> Record:
    order = rng.permutation(len(record["boxes"]))
    return {**record, **{key: record[key][order] for key in ("boxes", "labels", "ignore", "area")}}
