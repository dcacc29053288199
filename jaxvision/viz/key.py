"""A key of colours below a picture."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from jaxvision.viz.text import INK, PAPER, Color, font, shorten

_SIZE = 13  # least pixels of the letters
_LETTERS = 80  # of which a line of a large picture has room for about twice as many


def with_key(image: UInt8[np.ndarray, "H W 3"], entries: Sequence[tuple[Color, str]]) -> UInt8[np.ndarray, "H2 W 3"]:
    """Draw a key of colours below a picture, in as many lines as needed; an entry whose colour is INK is text alone."""
    height, width = image.shape[:2]
    size = max(_SIZE, width // _LETTERS)
    line, patch, edge = round(1.7 * size), round(1.5 * size), round(0.8 * size)
    face, x, y, places = font(size, words="".join(text for _, text in entries)), edge, height + size // 2, []
    for color, text in entries:
        text = shorten(text, width - 3 * size, face)
        needed = int(face.getlength(text)) + (patch if color != INK else 0) + round(1.4 * size)
        if x > edge and x + needed > width:
            x, y = edge, y + line
        places.append((x, y, color, text))
        x += needed
    canvas = Image.new("RGB", (width, y + line + 4), PAPER)
    canvas.paste(Image.fromarray(image))
    draw = ImageDraw.Draw(canvas)
    for x, y, color, text in places:
        if color != INK:
            draw.rectangle((x, y + (line - size) // 2, x + size, y + (line - size) // 2 + size), fill=color)
        draw.text((x + (patch if color != INK else 0), y + line // 2), text, font=face, fill=INK, anchor="lm")
    return np.array(canvas)
