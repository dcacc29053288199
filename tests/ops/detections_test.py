"""Detections against a plain reference: threshold, clip, suppression within a class, the best of all classes."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import boxes as box_ops
from jaxvision.ops.detections import detect

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
SIZE = np.array([[60.0, 80.0], [40.0, 80.0]], np.float32)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def reference(logits, boxes, valid, size, threshold: float, count: int) -> list[tuple[float, int, np.ndarray]]:
    scores = np.exp(logits - logits.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    found = []
    for label in range(1, logits.shape[-1]):
        kept: list[tuple[float, int, np.ndarray]] = []
        for i in np.argsort(-scores[:, label], kind="stable"):
            box = np.clip(boxes[i, label], 0, [size[1], size[0], size[1], size[0]])
            if not valid[i] or scores[i, label] <= threshold or (box[2:] - box[:2]).min() < 1e-2:
                continue
            if all(overlap(box, other) <= 0.5 for _, _, other in kept):
                kept.append((float(scores[i, label]), label, box))
        found += kept
    return sorted(found, key=lambda one: -one[0])[:count]


@pytest.mark.parametrize(("threshold", "count"), [(0.05, 50), (0.3, 50), (0.05, 5)])
def test_equals_the_reference(threshold: float, count: int):
    rng = np.random.default_rng(0)
    corner = rng.uniform(-10, 60, (2, 40, 2))
    rois = np.concatenate([corner, corner + rng.uniform(5, 40, (2, 40, 2))], -1).astype(np.float32)
    logits = rng.normal(0, 2, (2, 40, 4)).astype(np.float32)
    offsets = rng.normal(0, 1, (2, 40, 4, 4)).astype(np.float32)
    valid = rng.random((2, 40)) < 0.8
    found = detect(
        *map(jnp.asarray, (logits, offsets, rois, valid, SIZE)),
        weights=WEIGHTS,
        score_threshold=threshold,
        iou_threshold=0.5,
        count=count,
    )
    boxes = np.asarray(box_ops.decode(jnp.asarray(offsets), jnp.asarray(rois)[:, :, None], WEIGHTS))
    for row in range(2):
        expected = reference(logits[row], boxes[row], valid[row], SIZE[row], threshold, count)
        assert int(found.valid[row].sum()) == len(expected) > 3
        for slot, (score, label, box) in enumerate(expected):
            np.testing.assert_allclose(found.scores[row, slot], score, rtol=1e-5)
            assert int(found.labels[row, slot]) == label
            np.testing.assert_allclose(found.boxes[row, slot], box, atol=1e-3)


def test_nothing_is_found_in_empty_slots():
    rois = jnp.array([[[0.0, 0, 10, 10]]])
    found = detect(
        jnp.array([[[0.0, 9.0]]]),
        jnp.zeros((1, 1, 2, 4)),
        rois,
        jnp.array([[False]]),
        jnp.asarray(SIZE[:1]),
        weights=WEIGHTS,
        score_threshold=0.05,
        iou_threshold=0.5,
        count=3,
    )
    assert not found.valid.any() and not found.labels.any() and not found.boxes.any()
