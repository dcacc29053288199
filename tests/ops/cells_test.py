"""The grid's targets and detections against plain loops, and hand-computed cases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import cells as cell_ops
from jaxvision.ops.cells import Cells

SHAPE = (40, 80)  # height, width: a cell of a grid of 4 is 10 by 20 pixels


def encoded(boxes, labels=None, real=None, ignored=None, run=lambda f: f):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(boxes)
    labels = np.arange(1, count + 1) if labels is None else np.array(labels)
    real = np.ones(count, bool) if real is None else np.array(real)
    ignored = np.zeros(count, bool) if ignored is None else np.array(ignored)
    encode = run(lambda *a: cell_ops.encode(*a, shape=SHAPE, side=4))
    return jax.tree.map(np.asarray, encode(*map(jnp.asarray, (boxes, labels, real, ignored))))


@pytest.mark.parametrize("run", [jax.jit, lambda f: f], ids=["jit", "eager"])
def test_the_cell_of_the_centre_answers(run):
    found = encoded([[25, 12, 45, 28]], labels=[3], run=run)  # centre (35, 20): column 1, row 2
    assert np.argwhere(found.occupied).tolist() == [[2, 1]]
    assert found.labels.sum() == found.labels[2, 1] == 3
    np.testing.assert_allclose(found.boxes[2, 1], [0.75, 0, np.sqrt(20 / 80), np.sqrt(16 / 40)], rtol=1e-6)
    assert not found.boxes[found.labels == 0].any() and not found.ignored.any()


def test_decoding_inverts_encoding():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, [60, 25], (6, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(2, 15, (6, 2))], axis=1)
    found = encoded(boxes)
    corners = np.asarray(cell_ops.decode(jnp.asarray(found.boxes)[:, :, None], SHAPE))[:, :, 0]
    for row, column in np.argwhere(found.occupied):
        np.testing.assert_allclose(corners[row, column], boxes[found.labels[row, column] - 1], atol=1e-4)


def test_of_two_objects_in_a_cell_the_first_is_kept():
    boxes = [[22, 11, 30, 19], [24, 11, 36, 18], [62, 2, 78, 8]]
    assert encoded(boxes).labels[1, 1] == 1 and encoded(boxes).labels[0, 3] == 3
    assert encoded(boxes, real=[False, True, True]).labels[1, 1] == 2
    assert encoded(boxes[::-1]).labels[1, 1] == 2


def test_boxes_are_cut_at_the_canvas_and_the_others_count_for_nothing():
    found = encoded([[70, 30, 200, 200], [-50, 90, -10, 99], [5, 5, 5, 9], [np.nan, 0, 9, 9], [9, 9, 3, 3]])
    assert found.labels[3, 3] == 1 and found.occupied.sum() == 1
    np.testing.assert_allclose(found.boxes[3, 3], [0.75, 0.5, np.sqrt(10 / 80), np.sqrt(10 / 40)], rtol=1e-6)
    last = encoded([[80 - 1e-5, 0, 80, 10]])  # the centre is the border itself, in float32
    assert np.argwhere(last.occupied).tolist() in ([[0, 3]], [])


def test_ignored_objects_silence_their_cells():
    crowd = encoded([[0, 0, 40, 17]], real=[False], ignored=[True])
    assert np.argwhere(crowd.ignored).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]] and not crowd.occupied.any()
    small = encoded([[21, 1, 23, 3]], real=[False], ignored=[True])
    assert np.argwhere(small.ignored).tolist() == [[0, 1]]
    both = encoded([[0, 0, 40, 17], [2, 2, 8, 8]], real=[False, True], ignored=[True, False])
    assert both.labels[0, 0] == 2 and not both.ignored[0, 0] and both.ignored.sum() == 3


def test_no_object_at_all():
    found = encoded(np.zeros((3, 4)), real=[False] * 3)
    assert not found.occupied.any() and not found.labels.any() and not found.boxes.any()


def test_scores_are_class_times_confidence_and_never_two_negatives():
    cells = Cells(jnp.full((1, 1, 2), -0.5), jnp.array([[[0.5, -0.5]]]), jnp.zeros((1, 1, 2, 4)))
    assert not cell_ops.scores(cells).any()
    cells = cells._replace(classes=jnp.array([[[0.25, 0.5]]]))
    np.testing.assert_allclose(cell_ops.scores(cells)[0, 0], [[0.125, 0.25], [0, 0]])


def plain_detections(cells, size, threshold, count):
    """One image: every box for every class; suppression within the class at IoU 0.5."""
    found = []
    side, _, classes = cells.classes.shape
    for label in range(1, classes + 1):
        candidates = []
        for row, column, box in np.ndindex(*cells.confidence.shape):
            x, y, w, h = cells.boxes[row, column, box]
            x, y = (column + x) / side * SHAPE[1], (row + y) / side * SHAPE[0]
            w, h = w**2 * SHAPE[1], h**2 * SHAPE[0]
            score = max(cells.confidence[row, column, box], 0) * max(cells.classes[row, column, label - 1], 0)
            corners = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, [size[1], size[0], size[1], size[0]])
            if score > threshold and (corners[2:] - corners[:2]).min() >= 1e-2:
                candidates.append((score, label, corners))
        kept = []
        for one in sorted(candidates, key=lambda c: -c[0]):
            if all(overlap(one[2], other[2]) <= 0.5 for other in kept):
                kept.append(one)
        found += kept
    return sorted(found, key=lambda c: -c[0])[:count]


def overlap(a, b):
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@pytest.mark.parametrize(("threshold", "count"), [(0.1, 200), (0.4, 200), (0.1, 6)])
def test_detections_equal_the_plain_loop(threshold, count):
    rng = np.random.default_rng(2)
    parts = (
        rng.normal(0.4, 0.4, (2, 3, 3, 4)),
        rng.normal(0.5, 0.5, (2, 3, 3, 2)),
        rng.normal(0.5, 0.3, (2, 3, 3, 2, 4)),
    )
    cells = Cells(*(part.astype(np.float32) for part in parts))
    size = np.array([[40, 80], [33, 50]], np.float32)
    found = cell_ops.detect(
        Cells(*map(jnp.asarray, cells)),
        SHAPE,
        jnp.asarray(size),
        score_threshold=threshold,
        iou_threshold=0.5,
        count=count,
    )
    for row in range(2):
        expected = plain_detections(Cells(*(part[row] for part in cells)), size[row], threshold, count)
        assert int(found.valid[row].sum()) == len(expected) > 3
        for slot, (score, label, box) in enumerate(expected):
            np.testing.assert_allclose(found.scores[row, slot], score, rtol=1e-5)
            assert int(found.labels[row, slot]) == label
            np.testing.assert_allclose(found.boxes[row, slot], box, atol=1e-3)
