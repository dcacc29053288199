"""Curves in the unit square."""

import numpy as np

from jaxvision.viz.lines import SIDE, Line, unit_square

RED = (220, 20, 20)


def test_a_line_lies_where_its_values_are():
    x = np.linspace(0, 1, 50)
    picture = unit_square([Line(x, np.full(50, 0.5), RED, 3)], "title", "from left", "from below")
    reddish = (picture[..., 0] > 180) & (picture[..., 1] < 90)
    rows, columns = np.flatnonzero(reddish.any(axis=1)), np.flatnonzero(reddish.any(axis=0))
    assert len(rows) <= 5 and abs(rows.mean() - (34 + SIDE / 2)) < 2
    assert abs(columns[0] - 58) <= 2 and abs(columns[-1] - 58 - SIDE) <= 2


def test_values_outside_stay_in_the_square_and_dots_are_drawn():
    far = Line(np.array([-3.0, 9.0]), np.array([2.0, 2.0]), RED, 2, dot=(0.5, 0.25))
    picture = unit_square([far], "", "", "", diagonal=True)
    reddish = (picture[..., 0] > 180) & (picture[..., 1] < 90)
    assert reddish[34 + 3 * SIDE // 4, 58 + SIDE // 2] and reddish[34:37].any() and not reddish[:30].any()
    assert unit_square([Line(np.array([]), np.array([]), RED)], "", "", "").shape == picture.shape
