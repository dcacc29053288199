"""Figures have the size, the paper and the resolution that are asked for."""

import numpy as np

from jaxvision.viz.figure import new_figure, pixels_of


def test_a_figure_is_white_but_for_what_is_drawn():
    figure = new_figure(3.0, 2.0, dots=50)
    assert (pixels_of(figure) == 255).all() and pixels_of(figure).shape == (100, 150, 3)
    figure.add_subplot().plot([0, 1], [0, 1], color="#ff0000", linewidth=8)
    picture = pixels_of(figure)
    assert picture.dtype == np.uint8 and ((picture == (255, 0, 0)).all(-1)).any()


def test_the_room_around_the_axes_is_as_asked_for():
    def left(pad: float | None) -> int:
        figure = new_figure(3.0, 2.0, pad=pad)
        figure.add_subplot()
        return int(np.flatnonzero((pixels_of(figure) < 255).any(axis=(0, 2)))[0])

    assert left(0.5) - left(0.1) == 40 and left(None) < left(0.1)
