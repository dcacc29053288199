"""Text in pictures."""

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
    """Return the font DejaVu Sans, which matplotlib ships: Latin, Greek and Cyrillic. `size` is in pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def shorten(text: str, width: int, face: ImageFont.FreeTypeFont) -> str:
    """Return a line of text, cut with an ellipsis if it is too long.

    Args:
        text: the text.
        width: most pixels that the line may take; if not even an ellipsis fits, the line is empty.
        face: the font.
    """
    text = " ".join(text.split())
    if face.getlength(text) <= width:
        return text
    fitting = (n for n in range(len(text), -1, -1) if face.getlength(text[:n].rstrip() + "…") <= width)
    length = next(fitting, None)
    return "" if length is None else text[:length].rstrip() + "…"


def upward(text: str, face: ImageFont.FreeTypeFont, color: Color) -> Image.Image:
    """Draw a line of text from bottom to top, on transparent ground.

    Args:
        text: the text.
        face: the font.
        color: the RGB colour of the text.
    """
    canvas = Image.new("RGBA", (math.ceil(face.getlength(text)) + 1, sum(face.getmetrics())), (*color, 0))
    ImageDraw.Draw(canvas).text((0, 0), text, font=face, fill=(*color, 255))
    return canvas.transpose(Image.Transpose.ROTATE_90)
