"""YOLO's transforms: the whole image stretched to a square, and in training a part of it, or more than all of it.

The records that come out are those of `canvas.Canvases.evaluate`, with an image that fills its canvas: of the sides'
two scales each is its own. Or one object alone is cut out, to be named (`one_object`).
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

_LEAST_SIDE = 0.01  # of the canvas: what darknet keeps of an object that the border cuts


def stretched(size: int, max_boxes: int) -> Transform:
    """The image resized to `size`×`size`, whatever its aspect ratio (Redmon et al. 2016, figure 1)."""
    return transforms.compose(
        FromFile(_cut, size=size, jitter=0.0, fill=(0.0, 0.0, 0.0)),
        functools.partial(canvas.place, max_boxes=max_boxes, fill=(0.0, 0.0, 0.0)),
    )


def jittered(
    size: int,
    max_boxes: int,
    *,
    jitter: float = 0.2,
    saturation: float = 1.5,
    exposure: float = 1.5,
    hue: float = 0.0,
    flip: float = 0.5,
    fill: Channels = (0.0, 0.0, 0.0),
) -> Transform:
    """Random scale and place, colours and mirroring, then as `stretched` (Redmon et al. 2016, section 2.2).

    Each edge of the image moves in or out by up to `jitter` of the side, as in darknet; what lies outside of the image
    is `fill` (0..255). Boxes are cut at the new edges, and gone where under 1 % of the side is left. Objects come in
    random order, which decides between two in one cell.
    """
    return transforms.compose(
        FromFile(_cut, size=size, jitter=jitter, fill=fill),
        *_tint(saturation, exposure, hue),
        transforms.horizontal_flip(flip),
        _shuffle,
        functools.partial(canvas.place, max_boxes=max_boxes, fill=fill),
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
    """A random object as "image" uint8 [size, size, 3] and "label", of an image with objects.

    The window has the image's own shape, is `context` times as large as the object fills it (little more, so that
    other objects seldom lie in it too), and the object lies anywhere in it; it is stretched as the whole image would
    be, colours and mirroring are those of `jittered`. Of an image without objects that count it is any fifth to half,
    under label 0, the background.
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
    """HSV jitter, where there is any."""
    return [color.hsv_jitter(saturation, exposure, hue)] if (saturation, exposure, hue) != (1.0, 1.0, 0.0) else []


def _cut(record: Record, rng: np.random.Generator, *, size: int, jitter: float, fill: Channels) -> Record:
    """The window between the moved edges, `size`×`size`, and the objects in it."""
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
        "scale": scale,
        "canvas": (size, size),
    }


def _move(
    boxes: Float32[np.ndarray, "N 4"], window: Box, scale: Float32[np.ndarray, "2"], size: int
) -> tuple[Float32[np.ndarray, "N 4"], np.ndarray]:
    """Boxes as they lie in the window, and which of them have enough left there."""
    moved = (boxes - np.array([window[:2] * 2], np.float32)) * scale[[1, 0, 1, 0]][None]
    clipped, kept = inside(moved, size, size)
    whole = (moved[:, 2:] - moved[:, :2]).min(axis=1)
    least = np.minimum(whole, _LEAST_SIDE * size)  # an object that is this small to begin with stays
    return clipped, kept & ((clipped[:, 2:] - clipped[:, :2]).min(axis=1) >= 0.999 * least)


def _window(image: Pixels | decode.Encoded, window: Box, size: int, fill: Channels) -> Pixels:
    """The window resized to a square; whole pixels of the square, where the image is, and `fill` around them."""
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
    """First and last pixel of the square with the image under all of them, and the part of the image that they show."""
    step = (high - low) / size
    first, last = max(0, math.ceil(-low / step)), min(size, math.floor((length - low) / step))
    return first, last, max(0.0, low + first * step), min(float(length), low + last * step)


def _shuffle(record: Record, rng: np.random.Generator) -> Record:
    order = rng.permutation(len(record["boxes"]))
    return {**record, **{key: record[key][order] for key in ("boxes", "labels", "ignore")}}
