"""Pictures of the steps of a detector: anchors, matches, proposals, detections."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, UInt8
from PIL import Image, ImageDraw

from jaxvision.viz.boxes import SIZE, color_of, draw_boxes, enlarge, line_width, outline
from jaxvision.viz.grid import grid
from jaxvision.viz.key import with_key
from jaxvision.viz.masks import overlay, paste
from jaxvision.viz.text import INK, PAPER, Color

POSITIVE: Color = (34, 160, 70)
NEGATIVE: Color = (214, 58, 48)
IGNORED: Color = (150, 150, 150)
OBJECT: Color = (255, 225, 60)

_DOT_ROOM = 150  # square pixels that a dot needs to be told from the next
_TILE = 384  # pixels: the longer side of a picture among others


def anchors(
    image: UInt8[np.ndarray, "H W 3"],
    boxes: Float[np.ndarray, "N 4"],
    *,
    at: tuple[float, float] | None = None,
    size: int = SIZE,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw the anchors at one place, in a colour for each area, and the centres of all anchors as dots.

    A margin shows the parts that lie outside the image. Dots are left out if they are too many to be told apart.

    Args:
        image: the image.
        boxes: all anchors, x0, y0, x1, y1 in pixels.
        at: x, y of the place, of which the nearest centre is taken; None: the middle of the image.
        size: least length of the longer side of the picture in pixels.
    """
    if not len(boxes):
        raise ValueError("anchors: there are none to draw; give at least one")
    x, y = at or (image.shape[1] / 2, image.shape[0] / 2)
    centers, areas = (boxes[:, :2] + boxes[:, 2:]) / 2, np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    chosen = [_at_one_place(group, centers, x, y) for group in _by_area(areas)]
    colors = [color_of(i + 1) for i in range(len(chosen))]
    large, factor = enlarge(image, size)
    rows = np.concatenate(chosen)[::-1]
    margin = _margin(boxes[rows] * factor, large.shape)
    picture = np.pad(large, ((margin, margin), (margin, margin), (0, 0)), constant_values=225)
    picture = _dots(picture, centers * factor + margin)
    each = [color for color, group in zip(colors, chosen, strict=True) for _ in group][::-1]
    picture = outline(picture, boxes[rows] * factor + margin, each, width=line_width(large.shape))
    sizes = [f"{len(group)} of {np.sqrt(areas[group].mean()):.0f}² pixels" for group in chosen]
    return with_key(picture, [(INK, f"{len(boxes)} anchors; at one place"), *zip(colors, sizes, strict=True)])


def proposals(
    image: UInt8[np.ndarray, "H W 3"],
    boxes: Float[np.ndarray, "P 4"],
    scores: Float[np.ndarray, " P"],
    valid: Bool[np.ndarray, " P"] | None = None,
    *,
    count: int = 50,
    size: int = SIZE,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw the best proposals, dark to bright by score, with the best five thick and numbered.

    Args:
        image: the image.
        boxes: x0, y0, x1, y1 in pixels.
        scores: the score of each proposal.
        valid: False for rows of padding.
        count: most proposals that are drawn.
        size: least length of the longer side of the picture in pixels.
    """
    real = np.flatnonzero(np.ones(len(boxes), bool) if valid is None else valid)
    best = real[np.argsort(-scores[real], kind="stable")[:count]]
    large, factor = enlarge(image, size)
    low, high = (scores[best].min(), scores[best].max()) if len(best) else (0.0, 0.0)
    shades = (scores[best] - low) / (high - low) if high > low else np.ones(len(best))
    colors = [_ramp(shade) for shade in shades.tolist()]
    large = outline(large, boxes[best[5:]][::-1] * factor, colors[5:][::-1], width=1)
    texts = [f"{rank}: {scores[i]:.2f}" for rank, i in enumerate(best[:5].tolist(), start=1)]
    picture = outline(large, boxes[best[:5]] * factor, colors[:5], texts, order=np.arange(len(texts))[::-1])
    entries = [(INK, f"best {len(best)} of {len(real)} proposals")]
    if len(best):
        entries += [(_ramp(1.0), f"score {high:.3g}"), (_ramp(0.0), f"score {low:.3g}")]
    return with_key(picture, entries)


def matches(
    image: UInt8[np.ndarray, "H W 3"],
    boxes: Float[np.ndarray, "N 4"],
    assigned: Int[np.ndarray, " N"],
    objects: Float[np.ndarray, "G 4"],
    *,
    count: int = 40,
    size: int = SIZE,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw positive, negative and ignored boxes, and the objects that the positives are matched to.

    Args:
        image: the image.
        boxes: anchors or proposals, x0, y0, x1, y1 in pixels.
        assigned: 1 for a positive, 0 for a negative, -1 for an ignored box.
        objects: boxes of the objects.
        count: most boxes of each kind that are drawn, evenly spread over the rows.
        size: least length of the longer side of the picture in pixels.
    """
    large, factor = enlarge(image, size)
    kinds = ((-1, "ignored", IGNORED), (0, "negative", NEGATIVE), (1, "positive", POSITIVE))
    entries, width = [(OBJECT, f"{len(objects)} objects")], line_width(large.shape)
    for value, name, color in kinds:
        if value == 1:  # the few that matter, over the objects
            large = outline(large, objects * factor, [OBJECT] * len(objects), width=width + 1)
        rows = np.flatnonzero(assigned == value)
        drawn = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]
        thickness = width if value == 1 else max(width // 2, 1)
        large = outline(large, boxes[drawn] * factor, [color] * len(drawn), width=thickness)
        shown = f", {len(drawn)} drawn" if len(drawn) < len(rows) else ""
        entries.insert(1, (color, f"{len(rows)} {name}{shown}"))
    return with_key(large, entries)


def detections(
    images: UInt8[np.ndarray, "B H W 3"],
    outputs: Mapping[str, Any],
    batch: Mapping[str, Any],
    class_names: Sequence[str],
    *,
    min_score: float = 0.5,
    most: int = 8,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw each image with its detections and, if the batch has "boxes", its objects beside it.

    Masks are drawn if there are "masks"; objects that evaluation ignores are grey.

    Args:
        images: the images, padded to one size.
        outputs: detections, as for `evals.detection`.
        batch: "size" and "_mask", which mark the real pixels and rows, and optionally the objects.
        class_names: the names of the classes; the first one is the background.
        min_score: lowest score of a detection that is drawn.
        most: most images that are drawn, the first ones.
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
            true = _true_objects(batch, row)
            tiles.append(draw_instances(image, true, class_names, size=_TILE))
            captions.append(_count_objects(true))
    return grid(np.stack(tiles), 4, captions, size=1)


def objects(
    images: UInt8[np.ndarray, "B H W 3"], batch: Mapping[str, Any], class_names: Sequence[str], *, columns: int = 4
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw each image of a batch with its objects, over their number; those that count for nothing are grey.

    Args:
        images: the images.
        batch: "boxes", "labels" and "valid" of each image, and optionally "masks" and "ignore"; see `draw_instances`.
        class_names: the names of the classes; the first one is the background.
        columns: most images in a row.
    """
    tiles, captions = [], []
    for row, image in enumerate(images):
        true = _true_objects(batch, row)
        tiles.append(draw_instances(image, true, class_names, size=_TILE))
        captions.append(_count_objects(true))
    return grid(np.stack(tiles), columns, captions, size=1)


def draw_instances(
    image: UInt8[np.ndarray, "H W 3"],
    instances: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    *,
    size: int = SIZE,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw the boxes, and masks if there are any, of one image's objects or detections.

    Args:
        image: the image.
        instances: "boxes" [N, 4], "labels", "valid", and optionally "scores", "masks" [N, M, M] (cut to their box; at
            least 0.5 is the object) and "ignore".
        class_names: the names of the classes; the first one is the background.
        size: least length of the longer side of the picture in pixels.
    """
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
    """Return by how many pixels the boxes reach outside the image, at most half its side."""
    beyond = max(-boxes[:, :2].min(), boxes[:, 2].max() - shape[1], boxes[:, 3].max() - shape[0], 0.0)
    return int(min(np.ceil(beyond) + 8, max(shape[:2]) // 2))


def _by_area(areas: Float[np.ndarray, " N"]) -> list[Int[np.ndarray, " n"]]:
    """Group rows of about the same area: rounding makes anchors of one size differ a little."""
    order = np.argsort(areas, kind="stable")
    steps = areas[order][1:] > 1.2 * areas[order][:-1]
    return np.split(order, np.flatnonzero(steps) + 1)


def _at_one_place(
    group: Int[np.ndarray, " n"], centers: Float[np.ndarray, "N 2"], x: float, y: float
) -> Int[np.ndarray, " m"]:
    """Return the anchors of the group that share the centre nearest to (x, y)."""
    nearest = centers[group[np.hypot(centers[group, 0] - x, centers[group, 1] - y).argmin()]]
    return group[np.abs(centers[group] - nearest[None]).max(axis=1) < 1.0]


def _dots(image: UInt8[np.ndarray, "H W 3"], centers: Float[np.ndarray, "N 2"]) -> UInt8[np.ndarray, "H W 3"]:
    places = np.unique(np.rint(centers).astype(int), axis=0)
    if len(places) * _DOT_ROOM > image.shape[0] * image.shape[1]:
        return image
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    for x, y in places.tolist():
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=PAPER, outline=INK)
    return np.array(canvas)


def _ramp(share: float) -> Color:
    """Return a colour from dark blue at 0 to yellow at 1."""
    import matplotlib  # takes a while, which pictures without this scale need not wait

    r, g, b, _ = matplotlib.colormaps["plasma"](0.95 * share)
    return round(255 * r), round(255 * g), round(255 * b)


def _without_padding(
    image: UInt8[np.ndarray, "H W 3"], size: Integer[np.ndarray, " 2"] | Any
) -> UInt8[np.ndarray, "H W 3"]:
    height, width = np.rint(np.asarray(size)).astype(int).tolist()
    image = image.copy()
    image[height:] = image[:, width:] = 255
    return image


def _true_objects(batch: Mapping[str, Any], row: int) -> dict[str, np.ndarray]:
    return {k: np.asarray(batch[k][row]) for k in ("boxes", "labels", "valid", "masks", "ignore") if k in batch}


def _count_objects(true: Mapping[str, np.ndarray]) -> str:
    real = true["valid"].astype(bool)
    ignored = int((true["ignore"].astype(bool) & real).sum()) if "ignore" in true else 0
    return f"{real.sum() - ignored} labelled" + (f", {ignored} to ignore" if ignored else "")
