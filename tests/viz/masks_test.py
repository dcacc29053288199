import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import masks as mask_ops
from jaxvision.viz.masks import overlay, paste

BOXES = [
    [2.5, 1, 9, 8.5], [0, 0, 14, 11], [-3, -2, 6, 6], [5, 5, 5, 9], [8, 8, 4, 4], [40, 40, 60, 60], [-90, -90, 90, 99],
    [-9, 3, -2, 8], [3.2, 4.1, 3.9, 4.6],
]  # fmt: skip


@pytest.mark.parametrize("box", BOXES, ids=str)
@pytest.mark.parametrize("size", [1, 4, 28])
def test_paste_equals_that_of_the_ops(box, size):
    crop = np.random.default_rng(0).uniform(size=(size, size)).astype(np.float32)
    expected = mask_ops.paste(jnp.array(crop), jnp.array(box, jnp.float32), (11, 14))
    found = paste(crop, np.array(box, np.float64), (11, 14))
    assert found.shape == (11, 14)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_a_full_mask_pasted_is_its_box():
    expected = np.zeros((10, 12), bool)
    expected[2:7, 3:9] = True
    np.testing.assert_array_equal(paste(np.ones((28, 28), bool), np.array([3.0, 2, 9, 7]), (10, 12)) >= 0.5, expected)


def test_overlay_tints_the_inside_and_leaves_the_outside():
    image = np.full((20, 20, 3), 100, np.uint8)
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    picture = overlay(image, mask[None], [(200, 0, 0)], line=2)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[~mask], image[~mask])
    assert np.all(picture[5:7, 5:15] == (200, 0, 0)) and np.all(picture[5:15, 13:15] == (200, 0, 0))
    inside = picture[7:13, 7:13].reshape(-1, 3)
    assert np.all(inside == inside[0]) and 100 < inside[0, 0] < 200 and inside[0, 1] < 100
    assert np.all(image == 100)


def test_overlay_draws_no_contour_along_the_border_of_the_image():
    picture = overlay(np.zeros((9, 9, 3), np.uint8), np.ones((1, 9, 9), bool), [(200, 0, 0)])
    assert np.all(picture == picture[4, 4]) and picture[4, 4, 0] < 200


def test_overlay_of_nothing_and_of_wrong_numbers():
    image = np.zeros((9, 9, 3), np.uint8)
    np.testing.assert_array_equal(overlay(image, np.zeros((0, 9, 9), bool), []), image)
    np.testing.assert_array_equal(overlay(image, np.zeros((1, 9, 9), bool), [(9, 9, 9)]), image)
    with pytest.raises(ValueError, match="1 colors for 2 masks"):
        overlay(image, np.zeros((2, 9, 9), bool), [(1, 2, 3)])
