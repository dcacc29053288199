import numpy as np

from jaxvision.viz.grid import GAP, LINE
from jaxvision.viz.inversion import stages


def test_a_row_for_each_image_and_a_column_for_each_stage():
    shades = [np.full((2, 32, 32, 3), shade, np.uint8) for shade in (50, 100, 150)]
    figures = {"encoder": np.array([20.0, 30.0])}
    found = stages(shades[0], ("generated", "real"), {"encoder": shades[1], "edited": shades[2]}, figures)
    assert found.shape == (2 * (96 + 2 * LINE + GAP) + GAP, 3 * (96 + GAP) + GAP, 3)
    for row in range(2):
        top = GAP + row * (96 + 2 * LINE + GAP)
        for column, shade in enumerate((50, 100, 150)):
            left = GAP + column * (96 + GAP)
            assert np.all(found[top : top + 96, left : left + 96] == shade)
    other = stages(shades[0], ("generated", "real"), {"encoder": shades[1], "edited": shades[2]}, {})
    assert np.any(other != found)  # the figures are written
