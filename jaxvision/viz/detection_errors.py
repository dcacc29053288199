"""Pictures of a detector's worst errors."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from jaxvision.viz.boxes import color_of, outline
from jaxvision.viz.detection import NEGATIVE, OBJECT
from jaxvision.viz.text import FAINT, INK, PAPER, font, shorten

TILE = 160  # pixels

_CONTEXT = 0.5  # of the longer side of what is shown, added on each side
_LEAST = 16.0  # pixels of the image that a crop shows at least
_OUTSIDE = (206, 212, 218)
_GAP, _LINE, _TITLE = 10, 16, 30
_CLASSES = 12  # on a page


class DetectionError(NamedTuple):
    """A false positive, or an object that was missed."""

    missed: bool
    label: int  # of the detection, or of the missed object
    score: float  # of the detection concerned; 0 where a miss has none
    iou: float  # of the detection and the object; 0 where there is only one
    why: str  # in a few words
    rank: float  # the higher, the worse: comparable within false positives and within misses
    image_id: int
    tile: UInt8[np.ndarray, "T T 3"] | None  # of `cut`; None for the errors that are only counted


def order(error: DetectionError) -> tuple[float, int]:
    """Return a key to sort errors by, the worst first."""
    return -error.rank, error.image_id


def cut(
    image: UInt8[np.ndarray, "H W 3"], found: Float[np.ndarray, " 4"] | None, true: Float[np.ndarray, " 4"] | None
) -> UInt8[np.ndarray, "T T 3"]:
    """Cut a square out of the image around a detection (red) and an object (yellow), with some context.

    Args:
        image: the image.
        found: the box of the detection; None: an object was missed.
        true: the box of the object; None: there is no object near the detection.
    """
    boxes = np.stack([box for box in (found, true) if box is not None]).astype(np.float64)
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = max((high - low).max() * (1 + 2 * _CONTEXT), _LEAST)
    side = math.ceil(side)
    corner = np.floor((low + high - side) / 2).astype(int)
    room = np.array([image.shape[1], image.shape[0]]) - side
    corner = np.where(room >= 0, np.clip(corner, 0, np.maximum(room, 0)), corner)  # in the image, where it fits
    square = Image.new("RGB", (side, side), _OUTSIDE)
    square.paste(Image.fromarray(image), (-int(corner[0]), -int(corner[1])))
    large = np.array(square.resize((TILE, TILE), Image.Resampling.BICUBIC))
    at = (boxes - np.tile(corner, 2)[None]) * (TILE / side)
    colors = [color for box, color in ((found, NEGATIVE), (true, OBJECT)) if box is not None]
    return outline(large, at[::-1], colors[::-1], width=2)


def worst_errors(
    errors: Sequence[DetectionError],
    class_names: Sequence[str],
    *,
    each: int = 4,
    name_of: Callable[[int], str] = lambda image_id: f"#{image_id}",
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw each class's worst false positives, and beside them its worst misses.

    A tile shows the detection in red and the object in yellow, with the kind of error, score, IoU and the image's
    name.

    Args:
        errors: all errors.
        class_names: the names of the classes.
        each: most false positives and most misses of a class that are drawn.
        name_of: gives the name of an image by its image_id.
    """
    counts = Counter(e.label for e in errors)
    labels = sorted(counts, key=lambda k: (-counts[k], k))
    shown = labels[:_CLASSES]
    block = each * (TILE + _GAP)
    width = 3 * _GAP + 2 * block
    row = _TITLE + TILE + 2 * _LINE + 2 * _GAP
    canvas = Image.new("RGB", (width, 52 + row * len(shown)), PAPER)
    draw = ImageDraw.Draw(canvas)
    _write_heading(draw, errors, len(labels), width)
    for i, label in enumerate(shown):
        top = 52 + i * row
        draw.rectangle((_GAP, top, width - _GAP, top), fill=_OUTSIDE)
        for missed, left in ((False, _GAP), (True, 2 * _GAP + block)):
            own = [e for e in errors if e.label == label and e.missed == missed]
            own = sorted(own, key=order)
            title = f"{class_names[label]}: {_count_missed(len(own)) if missed else _count_wrong(len(own))}"
            draw.rectangle((left, top + 9, left + 11, top + 20), fill=color_of(label))
            face = font(13, bold=True, words=title)
            name = shorten(title, block - 30, face)
            draw.text((left + 18, top + _TITLE // 2), name, font=face, fill=INK, anchor="lm")
            for column, error in enumerate(e for e in own[:each] if e.tile is not None):
                name = name_of(error.image_id)
                _place(canvas, draw, error, name, left + column * (TILE + _GAP), top + _TITLE)
    return np.array(canvas)


def _count_wrong(count: int) -> str:
    return f"{count or 'no'} false positive{'' if count == 1 else 's'}"


def _count_missed(count: int) -> str:
    return f"{count or 'none'} missed"


def _write_heading(draw: ImageDraw.ImageDraw, errors: Sequence[DetectionError], classes: int, width: int) -> None:
    wrong, missed = sum(not e.missed for e in errors), sum(e.missed for e in errors)
    title = f"{_count_wrong(wrong)}, {_count_missed(missed)}"
    draw.text((_GAP, 8), title, font=font(15, bold=True), fill=INK)
    if not errors:
        return
    x = _GAP
    for color, text in ((NEGATIVE, "detection"), (OBJECT, "object")):
        draw.rectangle((x, 32, x + 11, 43), fill=color)
        draw.text((x + 17, 38), text, font=font(12), fill=INK, anchor="lm")
        x += 92
    if classes > _CLASSES:
        note = f"the {_CLASSES} of {classes} classes with the most errors"
        draw.text((x, 38), shorten(note, width - x - _GAP, font(12)), font=font(12), fill=FAINT, anchor="lm")


def _place(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, error: DetectionError, name: str, left: int, top: int
) -> None:
    assert error.tile is not None
    canvas.paste(Image.fromarray(error.tile), (left, top))
    figures = [f"{what} {value:.2f}" for what, value in (("score", error.score), ("IoU", error.iou)) if value]
    lines = [error.why, " · ".join([*figures, name])]
    for i, (line, color) in enumerate(zip(lines, (INK, FAINT), strict=True)):
        face = font(12, words=line)
        text, place = shorten(line, TILE, face), (left, top + TILE + 3 + i * _LINE + _LINE // 2)
        draw.text(place, text, font=face, fill=color, anchor="lm")
