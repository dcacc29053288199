"""Text on pictures."""

import functools
import math
import pathlib

import matplotlib
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]

INK: Color = (33, 37, 41)
FAINT: Color = (108, 117, 125)
PAPER: Color = (255, 255, 255)


@functools.cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib ships: Latin, Greek and Cyrillic. `size` in pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def shorten(text: str, width: int, face: ImageFont.FreeTypeFont) -> str:
    """`text` on one line, cut with an ellipsis to at most `width` pixels; empty where not even that fits."""
    text = " ".join(text.split())
    if face.getlength(text) <= width:
        return text
    fitting = (n for n in range(len(text), -1, -1) if face.getlength(text[:n].rstrip() + "…") <= width)
    length = next(fitting, None)
    return "" if length is None else text[:length].rstrip() + "…"


def upward(text: str, face: ImageFont.FreeTypeFont, color: Color) -> Image.Image:
    """`text` written from bottom to top, on transparent ground."""
    canvas = Image.new("RGBA", (math.ceil(face.getlength(text)) + 1, sum(face.getmetrics())), (*color, 0))
    ImageDraw.Draw(canvas).text((0, 0), text, font=face, fill=(*color, 255))
    return canvas.transpose(Image.Transpose.ROTATE_90)
