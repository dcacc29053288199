"""Transforms that crop an image of any size to uint8 [size, size, 3], as the classification papers did.

Each transform keeps only "image" and "label". The random ones choose their part of the image from its size alone, so
that a JPEG is decoded at the scale the part needs (see `decode`).
"""

import math

import numpy as np
from jaxtyping import Int

from jaxvision.data import decode
from jaxvision.data.decode import Box, Pixels
from jaxvision.data.records import Record, Records, by_extent
from jaxvision.data.transforms import FromFile, Transform

_TRIES = 10
_THIN = 8  # an image whose longer side is more than so many times the shorter is cut before it is resized
_PARTS, _WIDEST = 12, 2  # proportions of whole images are multiples of 1/12, up to 2
_TEST_RATIO = 256 / 224  # of the resized shorter side to the crop, in the evaluation of AlexNet and all that followed


def inception_crop(
    size: int, area: tuple[float, float] = (0.08, 1.0), aspect: tuple[float, float] = (3 / 4, 4 / 3)
) -> Transform:
    """Return a transform that resizes a random part of the image to a square (Szegedy et al. 2014, section 6).

    After ten random parts that do not fit into the image, it takes the largest central one within the aspect bounds.

    Args:
        size: Side of the square in pixels.
        area: Bounds of the part's share of the image's area, which is uniform.
        aspect: Bounds of the part's aspect ratio (width / height), which is log-uniform.

    Returns:
        A transform from files.
    """
    return FromFile(_inception_crop, size=size, area=area, aspect=aspect)


def two_crops(size: int, area: tuple[float, float], aspect: tuple[float, float] = (3 / 4, 4 / 3)) -> Transform:
    """Return a transform to two random parts of one image, "image" and "second", each as `inception_crop` cuts it.

    They are parts of the whole photograph, not of its central square, as methods that compare two views train
    (Chen, Kornblith, Norouzi & Hinton 2020, appendix A; He et al. 2020, section 3.3).

    Args:
        size: Side of each square in pixels.
        area: Bounds of a part's share of the image's area, which is uniform.
        aspect: Bounds of a part's aspect ratio (width / height), which is log-uniform.

    Returns:
        A transform from files.
    """
    return FromFile(_two_crops, size=size, area=area, aspect=aspect)


def scale_jitter(size: int, low: int, high: int) -> Transform:
    """Return a transform that resizes the shorter side to a random length and cuts out a random square.

    VGG: 224, 256, 512 (Simonyan and Zisserman 2014, section 3.1); ResNet: 224, 256, 480 (He et al. 2015, section 3.4).

    Args:
        size: Side of the square in pixels.
        low: The least length of the shorter side, in pixels.
        high: The greatest length of the shorter side, in pixels.

    Returns:
        A transform from files.

    Raises:
        ValueError: Not size <= low <= high.
    """
    if not size <= low <= high:
        raise ValueError(f"scale_jitter: needs size <= low <= high, not {size}, {low}, {high}")
    return FromFile(_scale_jitter, size=size, low=low, high=high)


def crop_pad(size: int, pad: int) -> Transform:
    """Return a transform that pads with `pad` black pixels on each side and cuts out a random square.

    It is CIFAR's augmentation (He et al. 2015, section 4.2). An image of another size is first resized so that its
    central square fills `size`.
    """
    return FromFile(_crop_pad, size=size, pad=pad)


def center_crop(size: int, resize: int | None = None) -> Transform:
    """Return a transform that resizes the shorter side to `resize` (default: 256/224 of `size`) and cuts the centre.

    The result equals that of torchvision's Resize and CenterCrop for a PIL image, pixel for pixel, which is the
    evaluation transform of its weights. `resize=size` keeps the image's border, which small images like digits need.

    Raises ValueError where `resize` is smaller than `size`.
    """
    shorter = round(size * _TEST_RATIO) if resize is None else resize
    if shorter < size:
        raise ValueError(f"center_crop: resize={shorter} is smaller than size={size}")
    return FromFile(_center_crop, size=size, shorter=shorter)


def whole_image(shorter: int) -> Transform:
    """Return a transform that resizes an image, all of it, so that its shorter side is `shorter`.

    Proportions are rounded to twelfths, from 1:1 to 2:1 or 1:2, so that images have at most 25 shapes: `shape_groups`
    tells which. Of a thinner image the middle is taken.
    """
    return FromFile(_whole_image, shorter=shorter)


def shape_groups(records: Records) -> Int[np.ndarray, " N"]:
    """Return a number for the shape that `whole_image` gives each record; 0 also for one that cannot be read."""
    return by_extent(records, _twelfths)


def shorter_side(image: Pixels, length: int) -> Pixels:
    """Resize an image so that its shorter side is `length`; the longer side is truncated to whole pixels."""
    height, width = image.shape[:2]
    if width <= height:
        return decode.resize(image, (length, length * height // width))
    return decode.resize(image, (length * width // height, length))


def inception_box(
    rng: np.random.Generator,
    width: int,
    height: int,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> tuple[int, int, int, int]:
    """Draw the part of an image that `inception_crop` takes.

    Args:
        rng: The random generator.
        width: Of the image in pixels.
        height: Of the image in pixels.
        area: Bounds of the part's share of the image's area.
        aspect: Bounds of the part's aspect ratio (width / height).

    Returns:
        (x0, y0, x1, y1) in pixels.
    """
    log_aspect = np.log(aspect)
    for _ in range(_TRIES):
        target = width * height * rng.uniform(*area)
        ratio = math.exp(rng.uniform(*log_aspect))
        across, down = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < across <= width and 0 < down <= height:
            x, y = int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1))
            return x, y, x + across, y + down
    across = min(width, max(1, round(height * aspect[1])))
    down = min(height, max(1, round(width / aspect[0])))
    x, y = (width - across) // 2, (height - down) // 2
    return x, y, x + across, y + down


def _inception_crop(
    record: Record, rng: np.random.Generator, *, size: int, area: tuple[float, float], aspect: tuple[float, float]
) -> Record:
    box = inception_box(rng, *decode.extent(record["image"]), area, aspect)
    return _only(record, decode.crop(record["image"], box, (size, size)))


def _two_crops(
    record: Record, rng: np.random.Generator, *, size: int, area: tuple[float, float], aspect: tuple[float, float]
) -> Record:
    first, second = (_inception_crop(record, rng, size=size, area=area, aspect=aspect) for _ in range(2))
    return {**first, "second": second["image"]}


def _scale_jitter(record: Record, rng: np.random.Generator, *, size: int, low: int, high: int) -> Record:
    width, height = decode.extent(record["image"])
    scale = int(rng.integers(low, high + 1)) / min(width, height)
    # The part is cut at the original resolution: one resize instead of resizing pixels that the crop throws away.
    x = int(rng.integers(int(width * scale) - size + 1)) / scale
    y = int(rng.integers(int(height * scale) - size + 1)) / scale
    side = size / scale
    box: Box = (x, y, min(x + side, width), min(y + side, height))
    return _only(record, decode.crop(record["image"], box, (size, size)))


def _crop_pad(record: Record, rng: np.random.Generator, *, size: int, pad: int) -> Record:
    image = _central_square(record["image"], size, size)
    padded = np.zeros((size + 2 * pad, size + 2 * pad, 3), np.uint8)
    padded[pad : pad + size, pad : pad + size] = image
    x, y = rng.integers(2 * pad + 1, size=2)
    return _only(record, padded[y : y + size, x : x + size])


def _center_crop(record: Record, rng: np.random.Generator, *, size: int, shorter: int) -> Record:
    return _only(record, _central_square(record["image"], shorter, size))


def _whole_image(record: Record, rng: np.random.Generator, *, shorter: int) -> Record:
    width, height = decode.extent(record["image"])
    longer = round(shorter * (_PARTS + abs(_twelfths(width, height))) / _PARTS)
    across, down = min(width, _WIDEST * height), min(height, _WIDEST * width)
    x, y = (width - across) / 2, (height - down) / 2
    size = (longer, shorter) if width > height else (shorter, longer)
    return _only(record, decode.crop(record["image"], (x, y, x + across, y + down), size))


def _twelfths(width: int, height: int) -> int:
    """Return by how many twelfths the longer side exceeds the shorter one, negative for a portrait; at most 12."""
    excess = min(round(_PARTS * max(width, height) / min(width, height)) - _PARTS, (_WIDEST - 1) * _PARTS)
    return excess if width > height else -excess


def _central_square(image: Pixels | decode.Encoded, shorter: int, size: int) -> Pixels:
    """Resize the shorter side to `shorter` and cut out the central square of `size`."""
    width, height = decode.extent(image)
    if max(width, height) <= _THIN * min(width, height):
        resized = shorter_side(decode.pixels(image), shorter)
        y, x = (round((side - size) / 2) for side in resized.shape[:2])
        return resized[y : y + size, x : x + size]
    # Of a thin image the part is cut first: the whole, enlarged, would take gigabytes.
    scaled = [shorter * side // min(width, height) for side in (width, height)]
    x, y = (round((side - size) / 2) for side in scaled)
    across, down = width / scaled[0], height / scaled[1]
    return decode.crop(image, (x * across, y * down, (x + size) * across, (y + size) * down), (size, size))


def _only(record: Record, image: Pixels) -> Record:
    return {"image": image, "label": record["label"]} if "label" in record else {"image": image}
