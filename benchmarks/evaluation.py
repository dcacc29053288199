"""CPU milliseconds an image that the metrics of detection and segmentation take on the host, on drawn data.

    python benchmarks/evaluation.py [--images=200] [--classes=20] [--rounds=5]

Run in two checkouts in turn, it compares them; other jobs on the machine hardly move CPU time.
"""

import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

_IMAGES = flags.DEFINE_integer("images", 200, "images of the detection metrics", lower_bound=1)
_CLASSES = flags.DEFINE_integer("classes", 20, "classes beside background", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "rounds; the median counts", lower_bound=1)

ROWS = 4  # images a batch
SIDE = 500  # pixels
DETECTIONS, OBJECTS = 100, 8


def main(argv: list[str]) -> None:
    """Print a line for each metric."""
    del argv
    from jaxvision.evals import segmentation
    from jaxvision.evals.detection_errors import worst_errors
    from jaxvision.evals.voc_ap import voc_ap

    names = [f"class {k}" for k in range(_CLASSES.value + 1)]
    rng = np.random.default_rng(0)
    batches = [_batch(rng, start) for start in range(0, _IMAGES.value, ROWS)]
    labels = rng.integers(0, len(names), (ROWS, SIDE // 20, SIDE // 20)).repeat(20, 1).repeat(20, 2).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.05] = 255
    found = np.where(rng.random(labels.shape) < 0.8, np.minimum(labels, _CLASSES.value), 0).astype(np.uint8)
    calls: dict[str, tuple[int, Callable[[], Any]]] = {
        "worst_errors": (_IMAGES.value, lambda: _evaluated(worst_errors(names, min_score=0.05), batches)),
        "voc_ap": (_IMAGES.value, lambda: _evaluated(voc_ap(names), batches)),
        "confusion matrix": (ROWS, lambda: segmentation.count(labels, found, len(names))),
    }
    for name, (images, call) in calls.items():
        times = sorted(_milliseconds(call) / images for _ in range(_ROUNDS.value))
        spread = f"{times[0]:.3f} to {times[-1]:.3f}"
        print(f"{name:16} {statistics.median(times):7.3f} ms of CPU an image ({spread})", flush=True)


def _batch(rng: np.random.Generator, first: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Draw the outputs and the batch of some images; half of the detections lie near an object."""
    corners = rng.uniform(0, SIDE - 120, (ROWS, OBJECTS, 2))
    objects = np.concatenate([corners, corners + rng.uniform(20, 120, corners.shape)], axis=-1)
    truth = rng.integers(1, _CLASSES.value + 1, (ROWS, OBJECTS))
    near = rng.integers(0, OBJECTS, (ROWS, DETECTIONS))
    boxes = np.take_along_axis(objects, near[..., None], 1) + rng.normal(0, 8, (ROWS, DETECTIONS, 4))
    low = rng.uniform(0, SIDE - 120, (ROWS, DETECTIONS, 2))
    free = np.concatenate([low, low + rng.uniform(20, 120, low.shape)], axis=-1)
    boxes = np.where(rng.random((ROWS, DETECTIONS, 1)) < 0.5, boxes, free)
    outputs = {
        "boxes": np.concatenate([boxes[..., :2], np.maximum(boxes[..., 2:], boxes[..., :2] + 1)], -1),
        "labels": np.take_along_axis(truth, near, 1),
        "scores": rng.random((ROWS, DETECTIONS)) ** 4,  # most of them low
        "valid": np.ones((ROWS, DETECTIONS), bool),
    }
    batch = {
        "image": rng.integers(0, 256, (ROWS, SIDE, SIDE, 3), np.uint8),
        "boxes": objects,
        "labels": truth,
        "valid": np.ones(truth.shape, bool),
        "ignore": np.zeros(truth.shape, bool),
        "image_id": first + np.arange(ROWS),
        "size": np.full((ROWS, 2), SIDE),
        "scale": np.ones((ROWS, 2)),
        "_mask": np.ones(ROWS, bool),
    }
    return outputs, batch


def _evaluated(metric: Any, batches: list[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Any:
    state = metric.init()
    for outputs, batch in batches:
        state = metric.update(state, outputs, batch)
    return metric.result(state)


def _milliseconds(call: Callable[[], Any]) -> float:
    began = time.process_time()
    call()
    return 1000 * (time.process_time() - began)


if __name__ == "__main__":
    app.run(main)
