"""Where bins are drawn, at pixels that are known."""

import numpy as np

from jaxvision.viz.grid import GAP
from jaxvision.viz.roi_borders import misaligned


def test_a_panel_for_each_operation_shows_the_roi_and_what_is_covered():
    image = np.full((64, 64, 3), 255, np.uint8)
    roi, box = np.array([18.0, 18, 46, 46], np.float32), np.array([16.0, 16, 48, 48], np.float32)
    middles = np.array([32.0], np.float32), np.array([32.0], np.float32)
    moved = middles[0] + 4, middles[1]
    found = {"nothing is moved": (roi, middles), "2 pixels": (box, moved)}
    picture = misaligned(image, roi, middles, found, stride=8)
    factor, side = 7, 48 * 7  # the RoI and a cell of 8 pixels around its cells: 8 to 56
    first, second = (picture[GAP : GAP + side, x : x + side] for x in (GAP, 2 * GAP + side))
    at = (16 - 8) * factor, (32 - 8) * factor
    red = second[at].astype(int)
    assert red[0] > red[1] + 100, "the left edge of the box that is covered"
    assert tuple(first[at]) == (173, 181, 189), "there only a line of the map's cells"
    green = second[(32 - 8) * factor, (18 - 8) * factor].astype(int)
    assert green[1] > green[0] + 80
    between = second[(34 - 8) * factor, (32 - 8) * factor].astype(int)
    assert between[0] > between[1] + 100, "the line from where a bin should be to where it is"
