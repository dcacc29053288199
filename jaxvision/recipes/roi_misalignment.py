"""Distances of the bins of RoIPool, RoIWarp and RoIAlign from those of the objects' boxes, in figures and a picture."""

import contextlib

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxvision.ops.roi_borders import Borders, covered, misalignment
from jaxvision.train.types import Data, Result
from jaxvision.viz.roi_borders import Middles, misaligned
from jaxvision.viz.table import table

OPERATIONS = {"pool": "RoIPool", "warp": "RoIWarp", "align": "RoIAlign"}
_ENOUGH = 256  # objects that are measured, at most
_LARGE = 0.1  # least area of the object that is drawn, as a share of the canvas


def misaligned_objects(data: Data, stride: int, bins: int) -> Result:
    """Measure by how many pixels the bins of each operation are beside those of the objects' boxes.

    Args:
        data: images with "boxes" and "valid", as detectors are evaluated on.
        stride: pixels a cell of the map.
        bins: bins a side.

    Returns:
        "misalignment/<operation>", the mean distance in pixels, and "misalignment/<operation>_varying", that distance
        without the mean shift, to which a network may get used; "misalignment", a table of them; and
        "misalignment_figure", one object with what each operation covers.
    """
    images, found_boxes = _objects(data)
    boxes = jnp.asarray(found_boxes)
    canvas, size = max(images[0].shape[:2]), (bins, bins)
    exact = covered(boxes, size, "align", stride=stride, canvas=canvas)
    drawn = _drawn(found_boxes, canvas)
    result: Result = {}
    rows, panels = {}, {}
    for operation, name in OPERATIONS.items():
        found = covered(boxes, size, operation, stride=stride, canvas=canvas)
        offsets = np.asarray(misalignment(found, exact)).reshape(-1, 2)
        shift = offsets.mean(axis=0)
        distance, varying = (float(np.linalg.norm(x, axis=1).mean()) for x in (offsets, offsets - shift[None]))
        result |= {f"misalignment/{operation}": distance, f"misalignment/{operation}_varying": varying}
        rows[name] = [f"{distance:.2f}", f"{shift[1]:+.2f}, {shift[0]:+.2f}", f"{varying:.2f}"]
        panels[f"{name}: {distance:.1f} pixels"] = _box(found, drawn), _middles(found, drawn)
    columns = (f"{len(boxes)} objects, a cell is {stride} pixels", "distance", "mean shift (x, y)", "without the shift")
    figure = misaligned(images[drawn], found_boxes[drawn], _middles(exact, drawn), panels, stride=stride)
    return {**result, "misalignment": table(columns, rows), "misalignment_figure": figure}


def _objects(data: Data) -> tuple[list[np.ndarray], Float[np.ndarray, "R 4"]]:
    """Collect the first objects, and of each its image."""
    images: list[np.ndarray] = []
    boxes: list[np.ndarray] = []
    with contextlib.closing(data(0, 1)) as batches:
        for batch in batches:
            for image, of_image, valid in zip(batch["image"], batch["boxes"], batch["valid"], strict=True):
                boxes += list(of_image[valid])
                images += [image] * int(valid.sum())
            if len(boxes) >= _ENOUGH:
                break
    if not boxes:
        raise ValueError(
            "the evaluated images have no objects, by which a misalignment could be measured; check --data"
        )
    return images[:_ENOUGH], np.stack(boxes[:_ENOUGH]).astype(np.float32)


def _drawn(boxes: Float[np.ndarray, "R 4"], canvas: int) -> int:
    """Return the first object that is large enough to be seen, or the largest."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    large = np.flatnonzero(areas >= _LARGE * canvas**2)
    return int(large[0]) if len(large) else int(areas.argmax())


def _box(found: Borders, index: int) -> Float[np.ndarray, "4"]:
    rows, columns = (np.asarray(side[index]) for side in found)
    return np.array([columns[0, 0], rows[0, 0], columns[-1, 1], rows[-1, 1]], np.float32)


def _middles(found: Borders, index: int) -> Middles:
    rows, columns = (np.asarray(jnp.mean(side[index], axis=-1)) for side in found)
    return rows, columns
