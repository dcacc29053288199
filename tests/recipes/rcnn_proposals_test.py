"""Coverage counts the objects that are to be found, and the picture is of an image that has proposals."""

import numpy as np
import pytest

from jaxvision.recipes.rcnn_proposals import coverage, draw_proposals
from jaxvision.recipes.rcnn_windows import WindowSplit
from tests.recipes.known_windows import IMAGES, Images, proposed, split


def test_coverage_is_of_the_objects_that_count():
    figures = coverage(split())
    assert figures["proposals/an_image"] == pytest.approx(40 / 6) and figures["proposals/recall50"] == 1.0
    assert figures["proposals/mabo"] == pytest.approx(np.mean([380 / 420, 870 / 930 * 0 + 0.9355]), abs=0.02)


def test_the_picture_is_of_the_first_image_with_proposals():
    late = WindowSplit(Images(), lambda: [p if i > 1 else p[:0] for i, p in enumerate(proposed())])
    drawn, black = draw_proposals(late), np.full((90, 90, 3), 2)  # image i has pixels of value i
    assert drawn.dtype == np.uint8 and drawn.shape[-1] == 3 and IMAGES > 2
    assert np.abs(drawn.astype(int)).max() > black.max() and np.any(drawn == 2)
