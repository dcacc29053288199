"""Maps and rows of neighbours."""

import numpy as np
import pytest

from jaxvision.viz.embedding import neighbours, points
from jaxvision.viz.grid import GAP, RIGHT, WRONG

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("classes", [2, 10, 15, 40])
def test_a_map_shows_every_class(classes: int):
    places, labels = RNG.normal(size=(60, 2)), np.arange(60) % classes
    names = [f"class {i}" for i in range(classes)]
    picture = points(places, labels, names, "features", ("x", "y"))
    assert picture.dtype == np.uint8 and picture.shape == (640, 820, 3)
    np.testing.assert_array_equal(picture, points(places, labels, names, "features", ("x", "y")))
    assert np.any(picture != points(places, labels[::-1].copy(), names, "features", ("x", "y")))


def test_neighbours_of_the_class_are_green_and_others_red():
    images = RNG.integers(0, 256, (2, 3, 64, 64, 3), np.uint8)
    labels = np.array([[0, 1, 0], [1, 1, 1]])
    picture = neighbours(RNG.integers(0, 256, (2, 64, 64, 3), np.uint8), images, np.array([0, 1]), labels, ("a", "b"))
    frames = [tuple(picture[GAP - 2, GAP + i * (64 + GAP) + 9]) for i in range(4)]
    assert frames[1:] == [RIGHT, WRONG, RIGHT]
    np.testing.assert_array_equal(picture[GAP : GAP + 64, 2 * GAP + 64 : 2 * GAP + 128], images[0, 0])
