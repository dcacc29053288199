"""Images side by side, with captions or with the predictions of a classifier."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer, UInt8
from PIL import Image, ImageDraw

from jaxvision.viz.text import INK, PAPER, Color, font, shorten

GAP = 12  # pixels between tiles and around them all
LINE = 16  # pixels a line of text takes
FRAME = 3  # pixels, inside the gap
READ = 1120  # pixels of a page's width

RIGHT: Color = (46, 125, 50)
WRONG: Color = (198, 40, 40)
_BARS = {"right": (165, 214, 167), "wrong": (239, 154, 154), "other": (200, 214, 229)}
_TRACK: Color = (241, 243, 245)


def grid(
    images: UInt8[np.ndarray, "N H W C"],
    columns: int,
    captions: Sequence[str] | None = None,
    colors: Sequence[Color] | None = None,
    *,
    size: int = 96,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw images in rows, each over its caption.

    Image (row, column) of enlarged height h and width w lies at `GAP + row·(h + text + GAP)`, `GAP + column·(w + GAP)`,
    where the text takes `LINE` pixels a line, and more in a picture wider than `READ`, to be read when
    that is shrunk to the width of a page.

    Args:
        images: images with 1 or 3 channels.
        columns: images in a row.
        captions: a text for each image, cut to its width; it may have several lines.
        colors: an RGB colour for the frame of each image.
        size: least length of an image's longer side in pixels; a smaller one is enlarged by a whole factor.
    """
    texts = [c.split("\n") for c in captions or ()]
    _expect_each("captions", texts, images, captions is not None)
    _expect_each("colors", colors or (), images, colors is not None)
    lines = max((len(t) for t in texts), default=0)
    least = size if lines else 0
    letters = max(1.0, (GAP + min(columns, len(images)) * (_tile(images, size, least)[1] + GAP)) / READ)
    line = round(LINE * letters)
    sheet = _lay_out(images, columns, footer=lines * line, size=size, least=least)
    for i, tile in enumerate(sheet.tiles):
        if colors is not None:
            _frame(sheet.draw, tile.image, colors[i])
        for row, text in enumerate(texts[i] if texts else ()):
            color, at = colors[i] if colors else INK, (tile.left, tile.text_top + row * line)
            _write(sheet.draw, at, text, tile.width, color, letters)
    return np.array(sheet.canvas)


def predictions(
    images: UInt8[np.ndarray, "N H W C"],
    probabilities: Float[np.ndarray, "N K"],
    class_names: Sequence[str],
    labels: Integer[np.ndarray, " N"] | None = None,
    *,
    columns: int = 6,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw each image over its three most probable classes, with a bar for each probability.

    Args:
        images: the images.
        probabilities: the probability of each class, for each image.
        class_names: the names of the classes.
        labels: the true classes, which make frames green if the prediction is right, else red; None: not known.
        columns: images in a row.
    """
    if probabilities.shape != (len(images), len(class_names)):
        raise ValueError(f"predictions: probabilities {probabilities.shape} for {len(images)} images and "
                         f"{len(class_names)} class names; give one row an image, one column a class")  # fmt: skip
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :3]
    footer = (best.shape[1] + (labels is not None)) * (LINE + 2)
    sheet = _lay_out(images, columns, footer=footer, size=144, least=144)
    for i, tile in enumerate(sheet.tiles):
        label = None if labels is None else int(labels[i])
        if label is not None:
            _frame(sheet.draw, tile.image, RIGHT if best[i, 0] == label else WRONG)
        for row, k in enumerate(best[i].tolist()):
            kind = "other" if label is None else "right" if k == label else "wrong" if row == 0 else "other"
            top = tile.text_top + row * (LINE + 2)
            _bar(sheet.draw, (tile.left, top), tile.width, class_names[k], float(probabilities[i, k]), _BARS[kind])
        if label is not None and best[i, 0] != label:
            top = tile.text_top + best.shape[1] * (LINE + 2)
            _write(sheet.draw, (tile.left, top), f"true: {class_names[label]}", tile.width, WRONG)
    return np.array(sheet.canvas)


class _Tile(NamedTuple):
    image: tuple[int, int, int, int]  # x0, y0, x1, y1 of the enlarged image
    left: int
    text_top: int
    width: int


class _Sheet(NamedTuple):
    canvas: Image.Image
    draw: ImageDraw.ImageDraw
    tiles: list[_Tile]


def _tile(images: UInt8[np.ndarray, "N H W C"], size: int, least: int) -> tuple[int, int]:
    """Return the factor by which images are enlarged, and the width of a tile in pixels; see `_lay_out`."""
    height, width = images.shape[1:3]
    scale = max(math.ceil(size / max(height, width, 1)), 1)
    return scale, max(width * scale, least)


def _lay_out(images: UInt8[np.ndarray, "N H W C"], columns: int, *, footer: int, size: int, least: int) -> _Sheet:
    """Paste the enlarged images, `footer` pixels free under each; a tile is at least `least` pixels wide."""
    n, h, w, c = images.shape
    if n == 0 or c not in (1, 3) or columns < 1:
        raise ValueError(f"a grid of {n} images, {c} channels, {columns} columns: each at least 1, channels 1 or 3")
    scale, width = _tile(images, size, least)
    h, w, columns = h * scale, w * scale, min(columns, n)
    down, across = h + footer + GAP, width + GAP
    canvas = Image.new("RGB", (GAP + columns * across, GAP + math.ceil(n / columns) * down), PAPER)
    tiles = []
    for i, image in enumerate(images):
        left, top = GAP + i % columns * across, GAP + i // columns * down
        x = left + (width - w) // 2
        pixels = np.broadcast_to(image, (*image.shape[:2], 3)).repeat(scale, 0).repeat(scale, 1)
        canvas.paste(Image.fromarray(pixels), (x, top))
        tiles.append(_Tile((x, top, x + w, top + h), left, top + h + FRAME + 2, width))
    return _Sheet(canvas, ImageDraw.Draw(canvas), tiles)


def draw_share(draw: ImageDraw.ImageDraw, place: tuple[int, int, int, int], share: float, color: Color) -> None:
    """Draw a bar on a faint ground.

    Args:
        draw: what to draw on.
        place: the first column and row of the ground, and its last ones.
        share: of the ground's length that the bar covers, 0..1; NaN: no bar.
        color: the RGB colour of the bar.
    """
    x0, y0, x1, y1 = place
    draw.rectangle(place, fill=_TRACK)
    if length := round(float(np.clip(np.nan_to_num(share), 0, 1)) * (x1 - x0 + 1)):
        draw.rectangle((x0, y0, x0 + length - 1, y1), fill=color)


def _frame(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], color: Color) -> None:
    """Draw a frame around the image, not over it."""
    x0, y0, x1, y1 = box
    draw.rectangle((x0 - FRAME, y0 - FRAME, x1 + FRAME - 1, y1 + FRAME - 1), outline=color, width=FRAME)


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, width: int, color: Color, letters: float = 1.0
) -> None:
    face = font(round(12 * letters), words=text)
    draw.text(
        (at[0], at[1] + round(LINE * letters) // 2), shorten(text, width, face), font=face, fill=color, anchor="lm"
    )


def _bar(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], width: int, name: str, probability: float, color: Color
) -> None:
    """A line of text over a bar whose length is the probability."""
    x, y = at
    draw_share(draw, (x, y, x + width - 1, y + LINE - 1), probability, color)
    percent = f"{probability:.0%}" if probability == probability else "nan"
    room = width - font(12).getlength(percent) - 14
    _write(draw, (x + 4, y), name, int(room), INK)
    draw.text((x + width - 4, y + LINE // 2), percent, font=font(12), fill=INK, anchor="rm")


def _expect_each(name: str, values: Sequence, images: UInt8[np.ndarray, "N H W C"], given: bool) -> None:
    if given and len(values) != len(images):
        raise ValueError(f"grid: {len(values)} {name} for {len(images)} images; give one for each")
