"""The loss of a grid of cells is the sum that the paper prints, written as a loop over cells."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses.cells import cells_loss, responsible
from jaxvision.ops.cells import Cells, Targets


def case(seed=0, images=3, side=3, boxes=2, classes=4):
    rng = np.random.default_rng(seed)
    occupied = rng.random((images, side, side)) < 0.5
    ignored = (rng.random((images, side, side)) < 0.3) & ~occupied
    labels = np.where(occupied, rng.integers(1, classes + 1, occupied.shape), 0)
    true = np.where(occupied[..., None], rng.uniform(0.1, 1, (*occupied.shape, 4)), 0).astype(np.float32)
    cells = Cells(
        rng.normal(size=(*occupied.shape, classes)).astype(np.float32),
        rng.normal(size=(*occupied.shape, boxes)).astype(np.float32),
        rng.normal(0.4, 0.4, (*occupied.shape, boxes, 4)).astype(np.float32),
    )
    return cells, Targets(occupied, ignored, labels, true)


def on_device(tree):
    return jax.tree.map(jnp.asarray, tree)


def corners(box, row, column, side):
    x, y, w, h = (column + box[0]) / side, (row + box[1]) / side, box[2] ** 2, box[3] ** 2
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def iou(a, b):
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


def distance(a, b):
    center = [(a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2]
    sides = [a[2] - a[0] - b[2] + b[0], a[3] - a[1] - b[3] + b[1]]
    return sum(v**2 for v in center + sides)


def plain_loss(cells, targets, coord, no_object):
    """Equation 3, cell by cell; the network's outputs are the roots of the sides."""
    terms = dict.fromkeys(("center", "size", "object", "no_object", "class"), 0.0)
    images, side = targets.occupied.shape[:2]
    for at in np.ndindex(images, side, side):
        confidence = [float(c) for c in cells.confidence[at]]
        if targets.ignored[at]:
            continue
        if targets.occupied[at]:
            true = targets.boxes[at]
            place = corners(true, at[1], at[2], side)
            predicted = [corners(box, at[1], at[2], side) for box in cells.boxes[at]]
            overlaps = [iou(one, place) for one in predicted]
            best = int(np.argmax(overlaps))
            if max(overlaps) == 0:
                best = int(np.argmin([distance(one, place) for one in predicted]))
            box = cells.boxes[at][best]
            terms["center"] += coord * ((box[0] - true[0]) ** 2 + (box[1] - true[1]) ** 2)
            terms["size"] += coord * ((box[2] - true[2]) ** 2 + (box[3] - true[3]) ** 2)
            terms["object"] += (confidence.pop(best) - overlaps[best]) ** 2
            for label, value in enumerate(cells.classes[at], start=1):
                terms["class"] += (value - (label == targets.labels[at])) ** 2
        terms["no_object"] += no_object * sum(c**2 for c in confidence)
    return {name: value / images for name, value in terms.items()}


@pytest.mark.parametrize("run", [jax.jit, lambda f: f], ids=["jit", "eager"])
@pytest.mark.parametrize("boxes", [1, 2, 3])
def test_equals_the_loop_over_cells(run, boxes):
    cells, targets = case(boxes, boxes=boxes)
    found = run(lambda c, t: cells_loss(c, t, coord=4.0, no_object=0.3))(on_device(cells), on_device(targets))
    expected = plain_loss(cells, targets, 4.0, 0.3)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, err_msg=name)


def test_the_papers_weights_are_the_defaults():
    cells, targets = case()
    found, expected = cells_loss(*map(on_device, (cells, targets))), plain_loss(cells, targets, 5.0, 0.5)
    chex.assert_trees_all_close(found, jax.tree.map(jnp.float32, expected), rtol=1e-4)


def one_cell(*boxes, true=(0.5, 0.5, 0.5, 0.5)):
    """Boxes of the single cell of one image, all of confidence 0."""
    boxes = np.array(boxes, np.float32)[None, None, None]
    cells = Cells(jnp.zeros((1, 1, 1, 2)), jnp.zeros((1, 1, 1, boxes.shape[3])), jnp.asarray(boxes))
    targets = Targets(
        jnp.ones((1, 1, 1), bool),
        jnp.zeros((1, 1, 1), bool),
        jnp.ones((1, 1, 1), jnp.int32),
        jnp.asarray(true, jnp.float32)[None, None, None],
    )
    return cells, targets


def test_the_box_of_highest_iou_is_responsible_else_the_nearest():
    overlapping = one_cell((0.5, 0.5, 0.9, 0.9), (0.5, 0.5, 0.52, 0.5))
    assert responsible(*overlapping)[0][0, 0, 0].tolist() == [False, True]
    missing = one_cell((5, 5, 0.5, 0.5), (2, 0.5, 0.5, 0.5), (2, 0.5, 0.5, 0.5))
    own, overlap = responsible(*missing)
    assert own[0, 0, 0].tolist() == [False, True, False] and not overlap.any()


def test_a_root_is_compared_with_a_root():
    """A box of the right centre and half the root: λ_coord (0.25² + 0.25²)."""
    losses = cells_loss(*one_cell((0.5, 0.5, 0.25, 0.25)))
    np.testing.assert_allclose(losses["size"], 5 * 2 * 0.25**2, rtol=1e-6)
    assert float(losses["center"]) == 0
    np.testing.assert_allclose(losses["object"], (0.25**4 / 0.5**4) ** 2, rtol=1e-6)


def test_the_iou_that_confidence_aims_at_has_no_gradient():
    cells, targets = one_cell((0.45, 0.5, 0.4, 0.5))
    slope = jax.grad(lambda c: cells_loss(c, targets)["object"])(cells)
    assert slope.confidence.any() and not slope.boxes.any()


@pytest.mark.parametrize("sides", [(0.0, 0.0), (-0.3, 0.2), (1e-30, 1.0)])
@pytest.mark.parametrize("true", [(0.5, 0.5, 0.0, 0.0), (0.5, 0.5, 0.5, 0.5)])
def test_sides_of_nothing_have_finite_gradients(sides, true):
    cells, targets = one_cell((0.5, 0.5, *sides), true=true)
    slope = jax.grad(lambda c: sum(cells_loss(c, targets).values()))(cells)
    chex.assert_tree_all_finite(slope)


def test_without_objects_only_confidence_is_learned():
    cells, targets = case()
    nothing = jax.tree.map(np.zeros_like, targets)
    losses = cells_loss(on_device(cells), on_device(nothing))
    assert {name for name, value in losses.items() if float(value)} == {"no_object"}
    np.testing.assert_allclose(losses["no_object"], 0.5 * (cells.confidence**2).sum() / 3, rtol=1e-5)
