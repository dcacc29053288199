import colorsys

import numpy as np
import pytest
from skimage import color

from jaxvision.data import color_spaces

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
IMAGE[0, :3] = [[0, 0, 0], [255, 255, 255], [90, 90, 90]]


def test_hsv_is_that_of_the_standard_library():
    expected = [[colorsys.rgb_to_hsv(*(pixel / 255)) for pixel in row] for row in IMAGE]
    np.testing.assert_allclose(color_spaces.convert(IMAGE, "hsv"), expected, atol=1e-5)
    np.testing.assert_array_equal(color_spaces.convert(IMAGE, "hue"), color_spaces.convert(IMAGE, "hsv")[..., :1])


def test_lab_is_that_of_scikit_image():
    expected = (color.rgb2lab(IMAGE) + np.array([[0, 128, 128]])) / np.array([[100, 255, 255]])
    np.testing.assert_allclose(color_spaces.convert(IMAGE, "lab"), expected, atol=2e-3)


@pytest.mark.parametrize("space", color_spaces.SPACES)
def test_every_space_is_small_floats_also_of_black_and_white(space: str):
    found = color_spaces.convert(IMAGE, space)
    assert found.dtype == np.float32 and found.shape[:2] == (12, 9) and found.min() >= 0 and found.max() <= 1
    assert found.std() > 0.01


@pytest.mark.parametrize("space", ["normalised", "opponent", "hue"])
def test_shadows_change_neither_shares_nor_hue(space: str):
    light, shadow = np.array([[[200, 100, 60]]], np.uint8), np.array([[[100, 50, 30]]], np.uint8)
    np.testing.assert_allclose(color_spaces.convert(light, space), color_spaces.convert(shadow, space), atol=1e-6)


def test_opponent_colours_reach_both_ends():
    pure = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [7, 7, 7]]], np.uint8)
    expected = [[1, 1], [0, 1], [0.5, 0], [0.5, 1], [0.5, 2 / 3]]
    np.testing.assert_allclose(color_spaces.convert(pure, "opponent")[0], expected, atol=1e-6)


def test_an_unknown_space_is_named():
    with pytest.raises(ValueError, match="colour space 'yuv': choose of rgb, grey, lab"):
        color_spaces.convert(IMAGE, "yuv")
