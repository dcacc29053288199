"""The shapes of labelme's JSON: rectangles, polygons and circles, as outlines of objects."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

Points = Float[np.ndarray, "P 2"]

_CIRCLE = 64  # corners of the polygon that stands for a circle: at most 0.12 % of the radius away from it
_POLYGONS = ("polygon", "rotation", "oriented_rectangle", "quadrilateral")
_NAMES_OF_NONE = ("__ignore__", "_background_", "background")


class Shape(NamedTuple):
    """A closed shape with the label that was given to it."""

    label: str
    group: int | str | None  # shapes of one label and group are parts of one object; None: an object of its own
    corners: Points  # (x, y) in pixels


class Part(NamedTuple):
    """An object: its label, and the closed shapes that it consists of."""

    label: str
    number: int  # place of its first shape in the file, from 1
    outlines: list[Points]


def read(shapes: Sequence[Any]) -> tuple[list[Part], list[str]]:
    """Read the shapes of a file.

    Args:
        shapes: the value of "shapes" in the JSON.

    Returns:
        The objects in the order of their first shapes, and a line for each shape that cannot be used.
    """
    parts: list[Part] = []
    groups: dict[tuple[str, int | str], Part] = {}
    faults: list[str] = []
    for number, item in enumerate(shapes, 1):
        shape = _shape(item)
        if isinstance(shape, str):
            label = f" ({item['label']})" if isinstance(item, dict) and item.get("label") else ""
            faults.append(f"shape {number}{label}: {shape}")
        elif shape.group is None:
            parts.append(Part(shape.label, number, [shape.corners]))
        elif (key := (shape.label, shape.group)) in groups:
            groups[key].outlines.append(shape.corners)
        else:
            groups[key] = Part(shape.label, number, [shape.corners])
            parts.append(groups[key])
    return parts, faults


def _shape(item: Any) -> Shape | str:
    """Return a shape, or the reason why it cannot be used."""
    if not isinstance(item, dict) or not isinstance(item.get("label"), str) or not item["label"].strip():
        return "has no label"
    label = item["label"].strip()
    if label.lower() in _NAMES_OF_NONE:
        return "its label is no class"
    kind = item.get("shape_type") or "polygon"
    points = _points(item.get("points"))
    if points is None:
        return "its points are not pairs of finite numbers"
    corners = _corners(str(kind), points)
    if isinstance(corners, str):
        return corners
    group = item.get("group_id")
    return Shape(label, group if isinstance(group, int | str) and group != "" else None, corners)


def _corners(kind: str, points: Points) -> Float[np.ndarray, "Q 2"] | str:
    """Return the corners of a closed shape, or the reason why there are none."""
    if kind in _POLYGONS:
        return points if len(points) >= 3 else f"a {kind} of {len(points)} points encloses nothing"
    if kind == "rectangle" and len(points) >= 2:
        (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    if kind == "circle" and len(points) == 2:
        angles = np.arange(_CIRCLE) * (2 * math.pi / _CIRCLE)
        radius = float(np.linalg.norm(points[1] - points[0]))
        return points[:1] + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    if kind in ("rectangle", "circle"):
        return f"a {kind} of {len(points)} points, not 2"
    if kind == "mask":
        return "a painted mask is not read; let labelme save it as a polygon"
    return f"a {kind} encloses nothing; draw a rectangle, polygon or circle"


def _points(value: Any) -> Points | None:
    try:
        points = np.array(value, np.float64).reshape(-1, 2)
    except (ValueError, TypeError, OverflowError):
        return None
    fine = isinstance(value, list) and len(points) == len(value) and np.isfinite(points).all()
    return points.astype(np.float32) if fine and np.abs(points).max(initial=0) < 1e9 else None
