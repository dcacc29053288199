"""Pictures of the targets and predictions of a grid of cells (Redmon et al. 2016, figure 2)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw

from jaxvision.viz.boxes import color_of, enlarge, line_width, outline
from jaxvision.viz.detection import draw_instances
from jaxvision.viz.grid import grid
from jaxvision.viz.key import with_key
from jaxvision.viz.text import Color

_TILE = 384  # pixels: the longer side of an image
_TINT = 0.55  # how much of a cell's colour covers the image, at most
_LINES: Color = (245, 245, 245)
_CERTAIN: Color = (255, 213, 0)
_MOST_BOXES = 400  # of the lowest confidences, which are drawn faintest, the rest is left out


def cells(
    images: UInt8[np.ndarray, "B H W 3"],
    outputs: Mapping[str, Any],
    batch: Mapping[str, Any],
    class_names: Sequence[str],
    *,
    min_score: float = 0.5,
    most: int = 4,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw a row for each image: target cells, predicted boxes, class map, and detections.

    The target cells hold the centres of objects, in the colour of their class. Predicted boxes are bright and
    wide where their confidence is high. The class map shows each cell's most probable class.

    Args:
        images: the images.
        outputs: the outputs of `tasks.yolo`.
        batch: the batch of `tasks.yolo`; objects that are to be ignored have no cell.
        class_names: the names of the classes; the first one is the background.
        min_score: lowest score of a detection that is drawn.
        most: most images that are drawn, the first ones.
    """
    tiles, captions, seen = [], [], set()
    for row in np.flatnonzero(batch["_mask"])[:most].tolist():
        one = {key: np.asarray(value[row]) for key, value in outputs.items()}
        true = {key: np.asarray(batch[key][row]) for key in ("boxes", "labels", "valid", "ignore")}
        counted = true["valid"].astype(bool) & ~true["ignore"].astype(bool)
        found = {key: one[key] for key in ("boxes", "scores", "labels", "valid")}
        found["valid"] = found["valid"].astype(bool) & (found["scores"] >= min_score)
        side = one["cell_classes"].shape[0]
        tiles += [
            taught(images[row], true["boxes"][counted], true["labels"][counted], side, class_names),
            confidences(images[row], one["cell_boxes"], one["cell_confidence"]),
            class_map(images[row], one["cell_classes"]),
            draw_instances(images[row], found, class_names, size=_TILE),
        ]
        count = one["cell_confidence"].size
        captions += [
            f"{counted.sum()} objects and their cells",
            f"{count} boxes by confidence",
            "class of each cell",
            f"{found['valid'].sum()} found, score ≥ {min_score:g}",
        ]
        seen |= {*true["labels"][counted].tolist(), *(one["cell_classes"].argmax(-1) + 1).ravel().tolist()}
    picture = grid(np.stack(tiles), 4, captions, size=1)
    return with_key(picture, [(color_of(label), class_names[label]) for label in sorted(seen)])


def taught(
    image: UInt8[np.ndarray, "H W 3"],
    boxes: Float[np.ndarray, "N 4"],
    labels: Int[np.ndarray, " N"],
    side: int,
    class_names: Sequence[str],
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw the grid and the objects, and tint the cells that hold the objects' centres.

    Args:
        image: the image.
        boxes: boxes of the objects.
        labels: the classes of the objects.
        side: number of cells along a side of the grid.
        class_names: the names of the classes.
    """
    large, factor = enlarge(image, _TILE)
    extent = np.array([image.shape[1], image.shape[0]])
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    places = np.clip(centers * side // extent[None], 0, side - 1).astype(int)
    opacity, colors = np.zeros((side, side)), np.zeros((side, side, 3))
    for (column, row), label in zip(places[::-1].tolist(), labels[::-1].tolist(), strict=True):  # the first one wins
        opacity[row, column], colors[row, column] = _TINT, color_of(label)
    picture = _lines(_tint(large, opacity, colors), side)
    shades = [color_of(int(label)) for label in labels]
    picture = outline(picture, boxes * factor, shades, [class_names[int(label)] for label in labels])
    return _dots(picture, centers * factor)


def confidences(
    image: UInt8[np.ndarray, "H W 3"],
    boxes: Float[np.ndarray, "S S P 4"],
    confidence: Float[np.ndarray, "S S P"],
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw all boxes, from thin and black at confidence 0 to wide and yellow at 1; the highest are on top.

    Args:
        image: the image.
        boxes: the predicted boxes.
        confidence: the confidence of each box.
    """
    large, factor = enlarge(image, _TILE)
    shades, rows = np.clip(confidence.ravel(), 0, 1), np.argsort(confidence.ravel(), kind="stable")[-_MOST_BOXES:]
    flat = boxes.reshape(-1, 4) * factor
    widest = 2 * line_width(large.shape)
    levels = np.rint(shades * (widest - 1)).astype(int)
    for level in np.unique(levels[rows]).tolist():
        chosen = rows[levels[rows] == level]
        colors = [_blend(float(shades[i])) for i in chosen]
        large = outline(large, flat[chosen], colors, width=level + 1)
    return large


def class_map(image: UInt8[np.ndarray, "H W 3"], classes: Float[np.ndarray, "S S C"]) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw each cell in the colour of its most probable class, the more opaque the more probable."""
    large, _ = enlarge(image, _TILE)
    labels = classes.argmax(axis=-1) + 1
    palette = np.array([color_of(label) for label in range(classes.shape[-1] + 1)], np.float64)
    opacity = _TINT * np.clip(classes.max(axis=-1), 0, 1)
    return _lines(_tint(large, opacity, palette[labels]), len(classes))


def _tint(
    image: UInt8[np.ndarray, "H W 3"], opacity: Float[np.ndarray, "S S"], colors: Float[np.ndarray, "S S 3"]
) -> UInt8[np.ndarray, "H W 3"]:
    """Blend every pixel with the colour of its cell."""
    side = len(opacity)
    rows, columns = (np.arange(length) * side // length for length in image.shape[:2])
    share = opacity[rows][:, columns][..., None]
    return np.rint(image * (1 - share) + colors[rows][:, columns] * share).astype(np.uint8)


def _lines(image: UInt8[np.ndarray, "H W 3"], side: int) -> UInt8[np.ndarray, "H W 3"]:
    picture = image.copy()
    for axis in (0, 1):
        for line in range(1, side):
            at = line * image.shape[axis] // side
            picture[(slice(None),) * axis + (at,)] = _LINES
    return picture


def _dots(image: UInt8[np.ndarray, "H W 3"], centers: Float[np.ndarray, "N 2"]) -> UInt8[np.ndarray, "H W 3"]:
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    for x, y in centers.tolist():
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=_LINES, outline=(0, 0, 0))
    return np.array(canvas)


def _blend(share: float) -> Color:
    red, green, blue = (round(share * level) for level in _CERTAIN)
    return red, green, blue
