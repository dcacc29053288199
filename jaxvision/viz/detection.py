"""What a detector starts from, is taught and finds: anchors, matches, proposals, detections."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Bool, Float, Int, Integer, UInt8
from PIL import Image, ImageDraw

from jaxvision.viz.boxes import SIZE, color_of, draw_boxes, enlarge, line_width, outline
from jaxvision.viz.grid import grid
from jaxvision.viz.masks import overlay, paste
from jaxvision.viz.text import INK, PAPER, Color, font, shorten

POSITIVE: Color = (34, 160, 70)
NEGATIVE: Color = (214, 58, 48)
IGNORED: Color = (150, 150, 150)
OBJECT: Color = (255, 225, 60)

_LINE = 22  # pixels of a line of the key
_TILE = 384  # pixels: the longer side of a picture among others


def anchors(
    image: UInt8[np.ndarray, "H W 3"],
    boxes: Float[np.ndarray, "N 4"],
    *,
    at: tuple[float, float] | None = None,
    size: int = SIZE,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Every anchor's centre as a dot, and of each area the anchors whose centre is nearest to `at` (x, y; by default
    the image's middle), a colour an area. What lies outside the image is drawn on a margin.
    """
    x, y = at or (image.shape[1] / 2, image.shape[0] / 2)
    centers, areas = (boxes[:, :2] + boxes[:, 2:]) / 2, np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kinds = np.rint(8 * np.log2(np.maximum(areas, 1e-6))).astype(int)  # anchors of one size differ a little by rounding
    distances = np.hypot(centers[:, 0] - x, centers[:, 1] - y)
    groups = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
    chosen = [g[distances[g] <= distances[g].min() + 1e-3] for g in groups]
    large, factor = enlarge(image, size)
    margin = _margin(boxes[np.concatenate(chosen)] * factor, large.shape) if chosen else 0
    picture = np.pad(large, ((margin, margin), (margin, margin), (0, 0)), constant_values=225)
    picture = _dots(picture, centers * factor + margin)
    colors = [color_of(i + 1) for i, group in enumerate(chosen) for _ in group]
    entries = [(color_of(i + 1), _describe(areas[group], len(group))) for i, group in enumerate(chosen)]
    rows = np.concatenate(chosen) if chosen else np.zeros(0, int)
    picture = outline(picture, boxes[rows] * factor + margin, colors, width=line_width(large.shape))
    return _with_key(picture, [(INK, f"{len(boxes)} anchors; at ({x:.0f}, {y:.0f}):"), *entries])


def proposals(
    image: UInt8[np.ndarray, "H W 3"],
    boxes: Float[np.ndarray, "P 4"],
    scores: Float[np.ndarray, " P"],
    valid: Bool[np.ndarray, " P"] | None = None,
    *,
    count: int = 50,
    size: int = SIZE,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """The `count` best proposals, dark to bright by score, the best on top and numbered up to 5."""
    real = np.flatnonzero(np.ones(len(boxes), bool) if valid is None else valid)
    best = real[np.argsort(-scores[real], kind="stable")[:count]]
    large, factor = enlarge(image, size)
    low, high = (scores[best].min(), scores[best].max()) if len(best) else (0.0, 0.0)
    shades = (scores[best] - low) / (high - low) if high > low else np.ones(len(best))
    colors = [_ramp(shade) for shade in shades.tolist()]
    texts = [f"{rank + 1}: {scores[i]:.2f}" if rank < 5 else "" for rank, i in enumerate(best.tolist())]
    picture = outline(large, boxes[best] * factor, colors, texts, order=np.arange(len(best))[::-1])
    entries = [(INK, f"best {len(best)} of {len(real)} proposals")]
    if len(best):
        entries += [(_ramp(1.0), f"score {high:.3g}"), (_ramp(0.0), f"score {low:.3g}")]
    return _with_key(picture, entries)


def matches(
    image: UInt8[np.ndarray, "H W 3"],
    boxes: Float[np.ndarray, "N 4"],
    assigned: Int[np.ndarray, " N"],
    objects: Float[np.ndarray, "G 4"],
    *,
    count: int = 40,
    size: int = SIZE,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Which anchors or proposals are positives (1), negatives (0) and ignored (-1), and the `objects` they were matched
    to. At most `count` of each kind are drawn, evenly spread over the boxes.
    """
    large, factor = enlarge(image, size)
    kinds = ((-1, "ignored", IGNORED), (0, "negative", NEGATIVE), (1, "positive", POSITIVE))
    entries, width = [(OBJECT, f"{len(objects)} objects")], line_width(large.shape)
    for value, name, color in kinds:
        rows = np.flatnonzero(assigned == value)
        drawn = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]
        thickness = width if value == 1 else max(width // 2, 1)
        large = outline(large, boxes[drawn] * factor, [color] * len(drawn), width=thickness)
        shown = f", {len(drawn)} drawn" if len(drawn) < len(rows) else ""
        entries.insert(1, (color, f"{len(rows)} {name}{shown}"))
    large = outline(large, objects * factor, [OBJECT] * len(objects), width=width + 1)
    return _with_key(large, entries)


def detections(
    images: UInt8[np.ndarray, "B H W 3"],
    outputs: Mapping[str, Any],
    batch: Mapping[str, Any],
    class_names: Sequence[str],
    *,
    min_score: float = 0.5,
    most: int = 8,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """The first `most` images, each with what was found from `min_score` on and, where the batch has "boxes", beside it
    what is there. Masks are drawn where there are "masks"; objects to ignore are grey.

    Outputs and batch are those of `evals.detection`; of the batch only "size" and "_mask" are needed, and no more than
    they say is shown of the images.
    """
    rows = np.flatnonzero(batch["_mask"])[:most].tolist()
    labelled = "boxes" in batch
    tiles, captions = [], []
    for row in rows:
        image = _without_padding(images[row], batch["size"][row])
        found = {
            k: np.asarray(v[row]) for k, v in outputs.items() if k in ("boxes", "scores", "labels", "valid", "masks")
        }
        found["valid"] = found["valid"].astype(bool) & (found["scores"] >= min_score)
        tiles.append(draw_instances(image, found, class_names, size=_TILE))
        captions.append(f"{found['valid'].sum()} found, score ≥ {min_score:g}")
        if labelled:
            keys = ("boxes", "labels", "valid", "masks", "ignore")
            true = {k: np.asarray(batch[k][row]) for k in keys if k in batch}
            tiles.append(draw_instances(image, true, class_names, size=_TILE))
            captions.append(_count_objects(true))
    return grid(np.stack(tiles), 4, captions, size=1)


def draw_instances(
    image: UInt8[np.ndarray, "H W 3"],
    instances: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    *,
    size: int = SIZE,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """One image's instances: "boxes" [N, 4], "labels", "valid", and where given "scores", "masks" [N, M, M] (crops of
    their box, at least 0.5 is the object) and "ignore"."""
    real = np.flatnonzero(instances["valid"])
    part = {k: v[real] for k, v in instances.items()}
    large, factor = enlarge(image, size)
    boxes, labels = part["boxes"] * factor, part["labels"]
    ignored = part.get("ignore", np.zeros(len(real), bool)).astype(bool)
    if "masks" in part:
        masks = [paste(m, b, large.shape[:2]) >= 0.5 for m, b in zip(part["masks"], boxes, strict=True)]
        colors = [IGNORED if skip else color_of(int(k)) for k, skip in zip(labels, ignored, strict=True)]
        large = overlay(large, masks[::-1], colors[::-1], line=line_width(large.shape))
    large = outline(large, boxes[ignored], [IGNORED] * int(ignored.sum()))
    scores = part["scores"][~ignored] if "scores" in part else None
    return draw_boxes(large, boxes[~ignored], labels[~ignored], scores, class_names, size=1)


def _margin(boxes: Float[np.ndarray, "N 4"], shape: tuple[int, ...]) -> int:
    """Pixels by which the boxes stick out of the image, at most half its side."""
    beyond = max(-boxes[:, :2].min(), boxes[:, 2].max() - shape[1], boxes[:, 3].max() - shape[0], 0.0)
    return int(min(np.ceil(beyond) + 8, max(shape[:2]) // 2))


def _dots(image: UInt8[np.ndarray, "H W 3"], centers: Float[np.ndarray, "N 2"]) -> UInt8[np.ndarray, "H W 3"]:
    picture = image.copy()
    columns, rows = np.unique(np.floor(centers).astype(int), axis=0).T
    inside = (rows >= 1) & (rows < len(image) - 1) & (columns >= 1) & (columns < image.shape[1] - 1)
    rows, columns = rows[inside], columns[inside]
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            picture[rows + dy, columns + dx] = PAPER if (dy, dx) == (0, 0) else INK
    return picture


def _describe(areas: Float[np.ndarray, " n"], count: int) -> str:
    return f"{count} of {np.sqrt(areas.mean()):.0f}² pixels"


def _ramp(share: float) -> Color:
    """Dark blue at 0, yellow at 1."""
    r, g, b, _ = matplotlib.colormaps["plasma"](0.95 * share)
    return round(255 * r), round(255 * g), round(255 * b)


def _without_padding(
    image: UInt8[np.ndarray, "H W 3"], size: Integer[np.ndarray, " 2"] | Any
) -> UInt8[np.ndarray, "H W 3"]:
    height, width = np.rint(np.asarray(size)).astype(int).tolist()
    image = image.copy()
    image[height:] = image[:, width:] = 255
    return image


def _count_objects(true: Mapping[str, np.ndarray]) -> str:
    real = true["valid"].astype(bool)
    ignored = int((true["ignore"].astype(bool) & real).sum()) if "ignore" in true else 0
    return f"{real.sum() - ignored} labelled" + (f", {ignored} to ignore" if ignored else "")


def _with_key(image: UInt8[np.ndarray, "H W 3"], entries: Sequence[tuple[Color, str]]) -> UInt8[np.ndarray, "H2 W 3"]:
    """The picture over a key of colours."""
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
