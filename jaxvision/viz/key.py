"""A key of colours below a picture."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from jaxvision.viz.text import INK, PAPER, Color, font, shorten

_LINE = 22  # pixels


def with_key(image: UInt8[np.ndarray, "H W 3"], entries: Sequence[tuple[Color, str]]) -> UInt8[np.ndarray, "H2 W 3"]:
    """Draw a key of colours below a picture, in as many lines as needed; an entry whose colour is INK is text alone."""
    height, width = image.shape[:2]
    face, x, y, places = font(13), 10, height + 6, []
    for color, text in entries:
        text = shorten(text, width - 40, face)
        needed = int(face.getlength(text)) + (20 if color != INK else 0) + 18
        if x > 10 and x + needed > width:
            x, y = 10, y + _LINE
        places.append((x, y, color, text))
        x += needed
    canvas = Image.new("RGB", (width, y + _LINE + 4), PAPER)
    canvas.paste(Image.fromarray(image))
    draw = ImageDraw.Draw(canvas)
    for x, y, color, text in places:
        if color != INK:
            draw.rectangle((x, y + 4, x + 13, y + 17), fill=color)
        draw.text((x + (20 if color != INK else 0), y + _LINE // 2), text, font=face, fill=INK, anchor="lm")
    return np.array(canvas)
