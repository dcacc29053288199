"""A photograph at its own size, with what a classifier says of it below."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from jaxvision.viz.grid import draw_share
from jaxvision.viz.text import INK, PAPER, Color, font, shorten

_NARROWEST = 200  # pixels that names and bars need
_BAR: Color = (190, 214, 239)


def with_classes(
    image: UInt8[np.ndarray, "H W 3"], names: Sequence[str], probabilities: Float[np.ndarray, " K"]
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw the names of classes below an image, each over a bar as long as its probability.

    Args:
        image: the image, which is drawn in the upper left corner.
        names: the classes, the most probable first.
        probabilities: the probability of each.
    """
    height, width = image.shape[:2]
    wide = max(width, _NARROWEST)
    size = max(12, wide // 45)
    face, line = font(size, words="".join(names)), round(1.6 * size)
    canvas = Image.new("RGB", (wide, height + line * len(names) + 4), PAPER)
    canvas.paste(Image.fromarray(image))
    draw = ImageDraw.Draw(canvas)
    for row, (name, probability) in enumerate(zip(names, probabilities.tolist(), strict=True)):
        top = height + 4 + row * line
        draw_share(draw, (0, top, wide - 1, top + line - 3), probability, _BAR)
        percent = f"{probability:.1%}"
        room = wide - face.getlength(percent) - 2 * size
        draw.text((size // 2, top + line // 2), shorten(name, int(room), face), font=face, fill=INK, anchor="lm")
        draw.text((wide - size // 2, top + line // 2), percent, font=face, fill=INK, anchor="rm")
    return np.array(canvas)
