"""Pictures of confusion matrices."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer, UInt8
from PIL import Image, ImageDraw, ImageFont

from jaxvision.viz.text import FAINT, INK, PAPER, Color, font, shorten, upward

_CORRECT: Color = (21, 101, 192)
_MISTAKEN: Color = (211, 47, 47)
_ABSENT: Color = (233, 236, 239)  # a class without examples
_WITH_COUNTS = 20  # classes; more than these have no room for numbers
_LEGIBLE = 13  # pixels of a cell that a name fits beside
_LONGEST_NAME = 180  # pixels
_MARGIN = 16
_TOP = 64  # of the matrix, under the title
_KEY = 130  # width that the colour key takes


class _Layout(NamedTuple):
    cell: int  # pixels
    side: int  # of the matrix, pixels
    left: int  # of the matrix
    labels: dict[int, str]  # class → text
    face: ImageFont.FreeTypeFont
    longest: int  # label, pixels
    level: bool  # labels below the matrix fit without being turned


def confusion_matrix(
    counts: Integer[np.ndarray, "K K"], class_names: Sequence[str], unit: str = "examples"
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a confusion matrix: a row for each true class, coloured by the shares of its examples.

    Blue is correct and red is wrong; colours follow the square root of the share, so that rare mistakes are seen.
    Counts are written for up to 20 classes, names for up to 61, and above that some of the class indices.

    Args:
        counts: number of examples by true class (row) and predicted class (column).
        class_names: the names of the classes.
        unit: the plural of what is counted, for the title.
    """
    if len(class_names) != len(counts) or not len(counts):
        raise ValueError(
            f"confusion_matrix: {len(class_names)} class names for {len(counts)} classes; give one for each"
        )
    at = _lay_out(class_names)
    below = (20 if at.level else at.longest + 12) + 28
    size = (at.left + max(at.side, 220) + _KEY, _TOP + max(at.side, 160) + below + _MARGIN)
    canvas = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(canvas)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    canvas.paste(Image.fromarray(_cells(counts, fractions, at.cell)), (at.left, _TOP))
    draw.rectangle((at.left - 1, _TOP - 1, at.left + at.side, _TOP + at.side), outline=FAINT)
    if len(counts) <= _WITH_COUNTS:
        _write_counts(draw, counts, fractions, at)
    _write_labels(canvas, draw, at, below)
    _write_title(draw, counts, fractions, at.left, unit)
    _draw_key(canvas, draw, at.left + max(at.side, 220) + 32)
    return np.array(canvas)


def _lay_out(class_names: Sequence[str]) -> _Layout:
    k = len(class_names)
    cell = max(44, 240 // k) if k <= _WITH_COUNTS else min(max(800 // k, 1), 24)
    face = font(13 if cell > _LEGIBLE else 11, words="".join(class_names))
    if cell >= _LEGIBLE:
        labels = {i: shorten(name, _LONGEST_NAME, face) for i, name in enumerate(class_names)}
    else:
        step = next(s for s in (10, 20, 50, 100, 200, 500, 1000, k) if k / s <= 10 or s == k)
        labels = {i: str(i) for i in range(0, k, step)}
    longest = int(max(face.getlength(text) for text in labels.values()))
    level = cell < _LEGIBLE or cell >= longest + 6
    return _Layout(cell, cell * k, _MARGIN + 28 + longest, labels, face, longest, level)


def _cells(
    counts: Integer[np.ndarray, "K K"], fractions: Float[np.ndarray, "K K"], cell: int
) -> UInt8[np.ndarray, "S S 3"]:
    """Draw the coloured matrix, `cell` pixels a class, with a thin line between cells that are large enough."""
    diagonal = np.eye(len(counts), dtype=bool)[..., None]
    colors = np.where(diagonal, _ramp(fractions, _CORRECT), _ramp(fractions, _MISTAKEN))
    colors[counts.sum(axis=1) == 0] = _ABSENT
    pixels = colors.repeat(cell, axis=0).repeat(cell, axis=1)
    if cell >= _LEGIBLE:
        pixels[cell - 1 :: cell] = pixels[:, cell - 1 :: cell] = _ABSENT
    return pixels


def _ramp(fractions: Float[np.ndarray, "*S"], color: Color) -> UInt8[np.ndarray, "*S 3"]:
    """Return colours from white at 0 to `color` at 1."""
    weight = np.sqrt(fractions)[..., None]
    return np.round(255.0 * (1.0 - weight) + np.array(color) * weight).astype(np.uint8)


def _write_counts(
    draw: ImageDraw.ImageDraw, counts: Integer[np.ndarray, "K K"], fractions: Float[np.ndarray, "K K"], at: _Layout
) -> None:
    for row, column in np.argwhere(counts > 0).tolist():
        middle = (at.left + column * at.cell + at.cell // 2, _TOP + row * at.cell + at.cell // 2)
        color = PAPER if fractions[row, column] > 0.3 else INK
        draw.text(middle, _fit(int(counts[row, column]), at.cell - 4), font=font(13), fill=color, anchor="mm")


def _fit(count: int, width: int) -> str:
    """Format a count, in thousands or millions if the whole number is too wide."""
    texts = (str(count), f"{count // 1000}k", f"{count // 1_000_000}M")
    return next((t for t in texts if font(13).getlength(t) <= width), "…")


def _write_labels(canvas: Image.Image, draw: ImageDraw.ImageDraw, at: _Layout, below: int) -> None:
    """Write class names or indices to the left of the matrix and below it, and the titles of the axes."""
    bottom = _TOP + at.side
    for i, text in at.labels.items():
        middle = i * at.cell + at.cell // 2
        draw.text((at.left - 8, _TOP + middle), text, font=at.face, fill=INK, anchor="rm")
        if at.level:
            draw.text((at.left + middle, bottom + 6), text, font=at.face, fill=INK, anchor="ma")
        else:
            turned = upward(text, at.face, INK)
            canvas.paste(turned, (at.left + middle - turned.width // 2, bottom + 6), turned)
    kind = "class" if at.cell >= _LEGIBLE else "class index"
    draw.text((at.left + at.side // 2, bottom + below), f"predicted {kind}", font=font(13), fill=FAINT, anchor="ms")
    turned = upward(f"true {kind}", font(13), FAINT)
    canvas.paste(turned, (_MARGIN - 6, _TOP + at.side // 2 - turned.height // 2), turned)


def _write_title(
    draw: ImageDraw.ImageDraw,
    counts: Integer[np.ndarray, "K K"],
    fractions: Float[np.ndarray, "K K"],
    left: int,
    unit: str,
) -> None:
    total = int(counts.sum())
    present = counts.sum(axis=1) > 0
    if not total:
        draw.text((left, _MARGIN), f"no {unit}", font=font(15, bold=True), fill=INK)
        return
    accuracy, mean = np.trace(counts) / total, np.diagonal(fractions)[present].mean()
    draw.text((left, 12), f"accuracy {accuracy:.2%}", font=font(15, bold=True), fill=INK)
    draw.text((left, 36), f"mean over classes {mean:.2%}, {total:,} {unit}", font=font(12), fill=FAINT)


def _draw_key(canvas: Image.Image, draw: ImageDraw.ImageDraw, left: int) -> None:
    """Draw the two ramps of colours, from all of a true class's examples down to none."""
    height, width, top = 120, 14, _TOP + 20
    fractions = np.linspace(1.0, 0.0, height) ** 2  # evenly spaced colours
    for i, color in enumerate((_CORRECT, _MISTAKEN)):
        bar = _ramp(fractions, color)[:, None].repeat(width, axis=1)
        canvas.paste(Image.fromarray(bar), (left + i * (width + 4), top))
    draw.text((left, _TOP - 2), "right, wrong", font=font(11), fill=FAINT)
    for fraction in (1.0, 0.5, 0.25, 0.1, 0.01, 0.0):
        y = top + round((1.0 - fraction**0.5) * (height - 1))
        draw.text((left + 2 * width + 10, y), f"{fraction:.0%}", font=font(11), fill=FAINT, anchor="lm")
