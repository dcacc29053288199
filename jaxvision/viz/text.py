"""Text in pictures."""

import functools
import math
import pathlib
from importlib import util

from absl import logging
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]

INK: Color = (33, 37, 41)
FAINT: Color = (108, 117, 125)
PAPER: Color = (255, 255, 255)

_said: set[str] = set()  # letters that no font has, of which the first were said


def font(size: int, *, bold: bool = False, words: str = "") -> ImageFont.FreeTypeFont:
    """Return a font that has the letters of `words`.

    It is DejaVu Sans, which matplotlib ships, for Latin, Greek, Cyrillic and Arabic; for other scripts the first
    installed font that has all of the letters. Where there is none, a warning says once what to install.

    Args:
        size: height of the letters in pixels.
        bold: bold letters.
        words: what is to be written.
    """
    # DejaVu has all of ASCII, so that most texts, of which each may have other letters, are one entry of the cache.
    return _face(_file(bold, frozenset() if words.isascii() else frozenset(words)), size)


@functools.cache
def _face(file: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


@functools.cache
def _file(bold: bool, letters: frozenset[str]) -> str:
    """Return the file of the first font that has all of the letters, or of DejaVu Sans."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    usual = str(_fonts() / name)
    needed = {letter for letter in letters if letter.isprintable()}
    if not needed or needed <= _letters(usual):
        return usual
    for file in _installed():
        if needed <= _letters(file):
            return file
    lacking = "".join(sorted(needed - _letters(usual)))
    if not _said:
        logging.warning(
            "no installed font has %s, which pictures show as boxes; install one, such as Debian's fonts-noto-cjk",
            lacking,
        )
    _said.add(lacking)
    return usual


@functools.cache
def _fonts() -> pathlib.Path:
    """Return the folder of the fonts that matplotlib ships, without importing matplotlib, which takes a while."""
    found = util.find_spec("matplotlib")
    assert found is not None and found.origin is not None
    return pathlib.Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"


@functools.cache
def _installed() -> tuple[str, ...]:
    from matplotlib import font_manager  # reads all fonts, which few pictures need

    return tuple(sorted(font_manager.findSystemFonts()))


@functools.cache
def _letters(file: str) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font  # takes a while, which texts of ASCII need not wait

    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError):  # a font of bitmaps, or a broken file
        return frozenset()


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
