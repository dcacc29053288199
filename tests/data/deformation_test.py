"""Image and label map are displaced and turned by the same smooth field."""

import math

import numpy as np
import pytest

from jaxvision.data import deformation


def test_displacements_are_those_of_the_control_points():
    shifts = np.zeros((2, 3, 3))
    shifts[0, 1, 1], shifts[1, 0, 2] = 6.0, -4.0
    mesh = deformation._mesh(shifts, (64, 96), 10)
    corner = {(box[0], box[1]): quad[:2] for box, quad in mesh}  # x, y of where the top-left corner of a cell points
    assert corner[48, 32] == pytest.approx((58, 48)) and corner[0, 0] == pytest.approx((10, 10))
    assert max(box[2] for box, _ in mesh) == 96 and max(box[3] for box, _ in mesh) == 64
    covered = np.zeros((64, 96), int)
    for (x0, y0, x1, y1), _ in mesh:
        covered[y0:y1, x0:x1] += 1
    assert (covered == 1).all()
    last = next(quad for box, quad in mesh if box[2] == 96 and box[1] == 0)
    assert last[6:] == pytest.approx((96 + 10 - 4, 10))


def test_a_turn_is_about_the_middle_and_its_margin_holds_the_corners():
    size = (40, 60)
    for angle in np.linspace(-math.pi, math.pi, 13):
        around = deformation.margin(size, 0.0, math.degrees(angle))
        mesh = deformation._mesh(np.zeros((2, 3, 3)), size, around, angle)
        quads = np.array([quad for _, quad in mesh]).reshape(-1, 2)
        assert (quads > -1e-6).all() and (quads < np.array([60, 40]) + 2 * around + 1e-6).all()
        np.testing.assert_allclose(quads.mean(axis=0), np.array([30, 20]) + around, atol=0.5)
    quarter = deformation._mesh(np.zeros((2, 3, 3)), (64, 64), 0, math.pi / 2)
    corner = {(box[0], box[1]): quad[:2] for box, quad in quarter}
    assert corner[0, 0] == pytest.approx((64, 0))  # what was at the top right is at the top left


def test_the_margin_of_the_papers_tiles():
    assert deformation.margin((572, 572), 10.0, 0.0) == 30
    assert deformation.margin((572, 572), 10.0, 180.0) == 30 + 119


def test_a_quarter_turn_is_that_of_numpy():
    rng = np.random.default_rng(0)
    image, labels = rng.integers(0, 256, (16, 16, 3), np.uint8), rng.integers(0, 9, (16, 16), np.uint8)
    mesh = deformation._mesh(np.zeros((2, 3, 3)), (16, 16), 0, math.pi / 2)
    assert len(mesh) == 256  # a cell a pixel

    class Quarter(np.random.Generator):
        def uniform(self, low: float, high: float) -> float:
            return high

    turned = deformation._bend(
        {"image": image, "label_map": labels},
        Quarter(np.random.PCG64()),
        sigma=0.0,
        margin=0,
        fill=(0.0,) * 3,
        rotate=90.0,
    )
    np.testing.assert_array_equal(turned["label_map"], np.rot90(labels))
