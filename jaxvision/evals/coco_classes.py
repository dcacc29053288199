"""COCO's average precision of each class, as a picture and as numbers."""

import json
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxvision.train.types import Result
from jaxvision.viz.boxes import color_of
from jaxvision.viz.class_bars import ClassBar, class_bars

_COLUMNS = ("AP50", "AP75", "AP_small", "AP_medium", "AP_large")


def coco_classes(
    precision: Float[np.ndarray, "T R K A M"],
    labels: Sequence[int],
    objects: Sequence[int],
    class_names: Sequence[str],
    prefix: str = "",
) -> Result:
    """Return the average precision of each class that has objects.

    Args:
        precision: at IoU thresholds, recalls, classes, sizes and numbers of detections, see `coco_ap.Evaluation`.
        labels: the K classes.
        objects: the number of objects of each that count.
        class_names: names of the classes, background first.
        prefix: "mask_" where masks were compared.

    Returns:
        "<prefix>coco_per_class", a picture with a bar for each class, and "<prefix>coco_per_class.json", the same as
        numbers; what is undefined is null there.
    """
    rows, numbers = [], {}
    for place, (label, count) in enumerate(zip(labels, objects, strict=True)):
        own = precision[:, :, place, :, -1]
        parts = {"AP": own[..., 0], "AP50": own[0, ..., 0], "AP75": own[5, ..., 0]}
        parts |= {f"AP_{size}": own[..., i] for i, size in enumerate(("small", "medium", "large"), start=1)}
        figures = {name: _mean(values) for name, values in parts.items()}
        columns = tuple("–" if np.isnan(figures[name]) else f"{figures[name]:.3f}" for name in _COLUMNS)
        rows.append(ClassBar(class_names[label], color_of(label), figures["AP"], (str(count), *columns)))
        known = {name: None if np.isnan(value) else round(value, 5) for name, value in figures.items()}
        numbers[class_names[label]] = {"objects": count, **known}
    what = "masks" if prefix else "boxes"
    picture = class_bars(rows, f"COCO's average precision of {what} (IoU 0.5 to 0.95)", ("objects", *_COLUMNS))
    return {f"{prefix}coco_per_class": picture, f"{prefix}coco_per_class.json": json.dumps(numbers, indent=2)}


def _mean(values: Float[np.ndarray, "..."]) -> float:
    """Return the mean of what is defined, NaN where nothing is."""
    known = values[values > -1]
    return float(known.mean()) if known.size else float("nan")
