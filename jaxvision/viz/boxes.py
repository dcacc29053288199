"""Pictures of boxes, with their class and score, over an image."""

import colorsys
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer, Shaped, UInt8
from PIL import Image, ImageDraw

from jaxvision.viz.text import INK, PAPER, Color, font, shorten

SIZE = 480  # pixels: the longer side that small images are enlarged to

_PALETTE: tuple[Color, ...] = (
    (230, 57, 70), (29, 120, 216), (46, 160, 67), (245, 133, 24), (142, 68, 203), (0, 168, 168),
    (233, 30, 140), (140, 98, 57), (250, 200, 20), (88, 98, 220), (139, 195, 74), (0, 90, 110),
)  # fmt: skip
_SHADE: Color = (16, 16, 16)  # the thin edges that part a line from whatever is under it
_PAD = 3  # pixels around a label's text

Area = tuple[int, int, int, int]


def color_of(label: int) -> Color:
    """Return the colour of a class (1, 2, …): twelve chosen ones, then hues spread by the golden ratio. 0 is grey."""
    if label < 1:
        return (120, 120, 120)
    if label <= len(_PALETTE):
        return _PALETTE[label - 1]
    hue, lightness = label * 0.618034 % 1.0, (0.42, 0.62)[label % 2]
    r, g, b = colorsys.hls_to_rgb(hue, lightness, 0.75)
    return round(255 * r), round(255 * g), round(255 * b)


def draw_boxes(
    image: UInt8[np.ndarray, "H W 3"],
    boxes: Shaped[np.ndarray, "N 4"],
    labels: Integer[np.ndarray, " N"] | None = None,
    scores: Float[np.ndarray, " N"] | None = None,
    class_names: Sequence[str] | None = None,
    *,
    size: int = SIZE,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw boxes in the colours of their classes, with class name and score.

    The best scores are on top and choose the place of their label first; labels never cover each other, and a box in a
    crowd may have no label.

    Args:
        image: the image.
        boxes: x0, y0, x1, y1 in pixels of the image.
        labels: the class of each box.
        scores: the score of each box; None: labels have no score.
        class_names: the names of the classes, the first one the background; None: labels have no name.
        size: least length of the longer side of the picture in pixels; a smaller image is enlarged by a whole factor.
    """
    large, factor = enlarge(image, size)
    colors = [color_of(int(k)) for k in labels] if labels is not None else [color_of(1)] * len(boxes)
    texts = _texts(len(boxes), labels, scores, class_names)
    return outline(
        large, boxes * factor, colors, texts, order=None if scores is None else np.argsort(scores, kind="stable")
    )


def enlarge(image: UInt8[np.ndarray, "H W 3"], size: int) -> tuple[UInt8[np.ndarray, "H2 W2 3"], int]:
    """Repeat an image's pixels so that its longer side is at least `size`; also return the factor."""
    factor = max(math.ceil(size / max(image.shape[:2])), 1)
    return image.repeat(factor, axis=0).repeat(factor, axis=1), factor


def line_width(shape: tuple[int, ...]) -> int:
    """Return the width in pixels of a line that is easy to see in an image of this height and width."""
    return max(3, round(max(shape[:2]) / 300))


def outline(
    image: UInt8[np.ndarray, "H W 3"],
    boxes: Shaped[np.ndarray, "N 4"],
    colors: Sequence[Color],
    texts: Sequence[str] | None = None,
    *,
    order: Integer[np.ndarray, " N"] | None = None,
    width: int | None = None,
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw boxes in given colours, and their texts on labels of the same colours.

    Args:
        image: the image.
        boxes: x0, y0, x1, y1 in pixels; a box that is not finite is left out.
        colors: the RGB colour of each box.
        texts: the text of each box; None: boxes have no labels.
        order: rows of the boxes in the order in which they are drawn, the last one on top; None: as they come.
        width: width of the lines in pixels; None: as suits the image, see `line_width`.
    """
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    ranks = list(range(len(boxes))) if order is None else order.tolist()
    ranks = [i for i in ranks if np.isfinite(boxes[i]).all()]
    width = line_width(image.shape) if width is None else width
    corners = {i: _pixels(boxes[i], image.shape) for i in ranks}
    for i in ranks:
        _rectangle(draw, corners[i], colors[i], width)
    taken: list[Area] = []
    for i in reversed(ranks):
        if texts is not None and texts[i]:
            _label(draw, corners[i], texts[i], colors[i], image.shape, taken)
    return np.array(canvas)


def ink_on(color: Color) -> Color:
    """Return black or white, whichever is easier to read on `color`."""
    r, g, b = ((c / 255.0) ** 2.2 for c in color)
    return INK if 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.3 else PAPER


def _texts(
    count: int,
    labels: Integer[np.ndarray, " N"] | None,
    scores: Float[np.ndarray, " N"] | None,
    class_names: Sequence[str] | None,
) -> list[str]:
    parts: list[list[str]] = [[] for _ in range(count)]
    for i, part in enumerate(parts):
        if labels is not None:
            k = int(labels[i])
            part.append(class_names[k] if class_names is not None and 0 <= k < len(class_names) else str(k))
        if scores is not None:
            part.append(f"{scores[i]:.2f}")
    return [" ".join(part) for part in parts]


def _pixels(box: Shaped[np.ndarray, " 4"], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the first and last pixels of a continuous box, at most a little outside the image."""
    limit = np.array([shape[1], shape[0]] * 2, np.float64)
    x0, y0, x1, y1 = np.rint(np.clip(box.astype(np.float64), -limit, 2 * limit)).astype(int).tolist()
    return x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)


def _rectangle(draw: ImageDraw.ImageDraw, corners: tuple[int, int, int, int], color: Color, width: int) -> None:
    x0, y0, x1, y1 = corners
    if width > 1:
        draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=_SHADE)
    if width > 1 and min(x1 - x0, y1 - y0) > 2 * width:
        draw.rectangle((x0 + width, y0 + width, x1 - width, y1 - width), outline=_SHADE)
    draw.rectangle(corners, outline=color, width=width)


def _label(
    draw: ImageDraw.ImageDraw,
    corners: tuple[int, int, int, int],
    text: str,
    color: Color,
    shape: tuple[int, ...],
    taken: list[Area],
) -> None:
    """Write a text at the free place nearest to the top-left corner of its box, if there is one."""
    side = max(shape[:2])
    # A large photograph has large labels.
    face = font(max(int(np.clip(round(side / 40), 12, 28)), side // 80), words=text)
    text = shorten(text, shape[1] - 2 * _PAD, face)
    wide, high = math.ceil(face.getlength(text)) + 2 * _PAD, sum(face.getmetrics()) + 2
    places = [_inside(place, wide, high, shape) for place in _places(corners, wide, high)]
    covered = [sum(_shared(place, other) for other in taken) for place in places]
    best = int(np.argmin(covered))
    if covered[best] > 0:
        return
    taken.append(places[best])
    x, y = places[best][:2]
    draw.rectangle((x, y, x + wide - 1, y + high - 1), fill=color)
    draw.text((x + _PAD, y + high // 2), text, font=face, fill=ink_on(color), anchor="lm")


def _places(corners: tuple[int, int, int, int], wide: int, high: int) -> list[tuple[int, int]]:
    """List places for a label's top-left corner, best first: above the box, in it, below, at its right corners."""
    x0, y0, x1, y1 = corners
    left, right = x0 - 1, x1 + 2 - wide
    rows = [y0 - high, y0 - 1, y1 + 1, y1 + 2 - high]
    return [(x, y) for x in (left, right) for y in rows] + [(x1 + 2, y0 - 1), (x0 - wide - 1, y0 - 1)]


def _inside(place: tuple[int, int], wide: int, high: int, shape: tuple[int, ...]) -> Area:
    x = max(min(place[0], shape[1] - wide), 0)
    y = max(min(place[1], shape[0] - high), 0)
    return x, y, x + wide, y + high


def _shared(a: Area, b: Area) -> int:
    """Return the area in square pixels that two rectangles share."""
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
