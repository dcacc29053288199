"""A bar for each class, in the class's colour, with figures in columns behind it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from jaxvision.viz.grid import draw_share
from jaxvision.viz.text import FAINT, INK, PAPER, Color, font, shorten

_LINE = 24  # pixels of a row
_NAME, _BAR, _COLUMN, _EDGE = 190, 300, 92, 12  # pixels
_MOST = 60  # classes; of more the best and the worst are drawn


class ClassBar(NamedTuple):
    """The bar of one class."""

    name: str
    color: Color
    value: float  # from 0 to 1; NaN: not known
    figures: tuple[str, ...] = ()  # further figures, one for each column


def class_bars(rows: Sequence[ClassBar], title: str, columns: Sequence[str] = ()) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a bar with its value for each class; of very many classes the best and the worst.

    Args:
        rows: the classes in order.
        title: what the bars measure.
        columns: the names of the further figures.

    Raises:
        ValueError: a row has another number of figures than there are columns.
    """
    for row in rows:
        if len(row.figures) != len(columns):
            raise ValueError(f"class_bars: {row.name!r} has {len(row.figures)} figures for {len(columns)} columns")
    shown, note = list(rows), ""
    if len(rows) > _MOST:
        ranked = sorted(rows, key=lambda row: -np.nan_to_num(row.value, nan=-1.0))
        shown = ranked[: _MOST // 2] + ranked[-_MOST // 2 :]
        note = f"the {_MOST // 2} best and the {_MOST // 2} worst of {len(rows)} classes"
    width = 2 * _EDGE + _NAME + _BAR + 60 + _COLUMN * len(columns)
    canvas = Image.new("RGB", (width, 44 + (20 if note else 0) + _LINE * len(shown) + _EDGE), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((_EDGE, 10), title, font=font(15, bold=True), fill=INK)
    for number, name in enumerate(columns, start=1):
        draw.text((_right(number), 20), name, font=font(12), fill=FAINT, anchor="rm")
    if note:
        draw.text((_EDGE, 36), note, font=font(12), fill=FAINT)
    for number, row in enumerate(shown):
        _draw_row(draw, row, 38 + (20 if note else 0) + number * _LINE)
    return np.array(canvas)


def _draw_row(draw: ImageDraw.ImageDraw, row: ClassBar, top: int) -> None:
    middle, left = top + _LINE // 2, _EDGE + _NAME
    face = font(13, words=row.name)
    draw.text((_EDGE, middle), shorten(row.name, _NAME - 10, face), font=face, fill=INK, anchor="lm")
    draw_share(draw, (left, top + 3, left + _BAR - 1, top + _LINE - 4), row.value, row.color)
    value = f"{row.value:.3f}" if np.isfinite(row.value) else "–"
    draw.text((left + _BAR + 52, middle), value, font=font(13), fill=INK, anchor="rm")
    for number, figure in enumerate(row.figures, start=1):
        draw.text((_right(number), middle), figure, font=font(13), fill=INK, anchor="rm")


def _right(column: int) -> int:
    return _EDGE + _NAME + _BAR + 60 + _COLUMN * column - 8
