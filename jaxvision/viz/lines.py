"""Curves in the unit square, drawn by Pillow, which takes far less time than matplotlib."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from jaxvision.viz.text import FAINT, INK, PAPER, Color, font, upward

SIDE = 320  # pixels of the square
_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 34, 16, 46
_FINER = 3  # lines are drawn so many times larger and shrunk, which smooths them
_GRID: Color = (230, 233, 237)


class Line(NamedTuple):
    """One curve."""

    x: Float[np.ndarray, " n"]  # from 0 to 1
    y: Float[np.ndarray, " n"]
    color: Color
    width: int = 2  # pixels
    dot: tuple[float, float] | None = None  # a place on the curve that is marked


def unit_square(
    lines: Sequence[Line], title: str, x_name: str, y_name: str, *, diagonal: bool = False
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw curves of values from 0 to 1 over values from 0 to 1.

    Args:
        lines: the curves; the last ones lie on top.
        title: the title above the square.
        x_name: what the axis from left to right measures.
        y_name: what the axis from bottom to top measures.
        diagonal: also draw the line from corner to corner, faint.
    """
    size = (_LEFT + SIDE + _RIGHT, _TOP + SIDE + _BOTTOM)
    canvas = Image.new("RGB", (size[0] * _FINER, size[1] * _FINER), PAPER)
    draw = ImageDraw.Draw(canvas)
    for part in np.linspace(0.0, 1.0, 6).tolist():
        draw.line([_at(part, 0.0), _at(part, 1.0)], fill=_GRID, width=_FINER)
        draw.line([_at(0.0, part), _at(1.0, part)], fill=_GRID, width=_FINER)
    if diagonal:
        draw.line([_at(0.0, 0.0), _at(1.0, 1.0)], fill=FAINT, width=_FINER)
    for line in lines:
        points = [_at(x, y) for x, y in zip(line.x.tolist(), line.y.tolist(), strict=True)]
        if len(points) > 1:
            draw.line(points, fill=line.color, width=line.width * _FINER, joint="curve")
        if line.dot is not None:
            x, y = _at(*line.dot)
            reach = (line.width + 2) * _FINER
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=line.color, outline=PAPER, width=_FINER)
    canvas = canvas.resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(canvas)
    draw.text((_LEFT, 8), title, font=font(15, bold=True), fill=INK)
    for part in np.linspace(0, 1, 6).tolist():
        x, y = _LEFT + part * SIDE, _TOP + (1 - part) * SIDE
        draw.text((x, _TOP + SIDE + 5), f"{part:.1f}", font=font(12), fill=FAINT, anchor="mt")
        draw.text((_LEFT - 6, y), f"{part:.1f}", font=font(12), fill=FAINT, anchor="rm")
    draw.text((_LEFT + SIDE / 2, _TOP + SIDE + 24), x_name, font=font(13), fill=INK, anchor="mt")
    turned = upward(y_name, font(13), INK)
    canvas.paste(turned, (4, _TOP + (SIDE - turned.height) // 2), turned)
    return np.array(canvas)


def _at(x: float, y: float) -> tuple[float, float]:
    inside = float(np.clip(x, 0, 1)), float(np.clip(y, 0, 1))
    return (_LEFT + inside[0] * SIDE) * _FINER, (_TOP + (1 - inside[1]) * SIDE) * _FINER
