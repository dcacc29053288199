"""Windows against PIL's bilinear transform, hand-computed context, and the border of the image."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxvision.ops.warp import warp, with_context

MEAN = (120.0, 110.0, 100.0)


def photo(height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_r_cnns_context_is_16_of_227_pixels_a_side():
    grown = with_context(jnp.array([[10.0, 20.0, 10.0 + 195.0, 20.0 + 390.0]]), 227, 16)
    np.testing.assert_allclose(grown, [[10 - 16, 20 - 32, 205 + 16, 410 + 32]], rtol=1e-6)


@pytest.mark.parametrize("window", [(3.0, 4.0, 25.0, 15.0), (7.3, 5.1, 12.9, 16.4), (0.0, 0.0, 30.0, 20.0)])
def test_equals_pillows_bilinear_sampling(window: tuple[float, ...]):
    image = photo()
    found = warp(jnp.asarray(image[None]), jnp.array([[window]]), 16, 0, MEAN)[0, 0]
    extent, bilinear = Image.Transform.EXTENT, Image.Resampling.BILINEAR
    expected = Image.fromarray(image).transform((16, 16), extent, window, bilinear)
    assert np.abs(np.asarray(found, int) - np.asarray(expected, int)).max() <= 1  # Pillow truncates


def test_a_whole_image_of_its_own_size_is_itself():
    image = photo(16, 16)
    found = warp(jnp.asarray(image[None]), jnp.array([[[0.0, 0.0, 16.0, 16.0]]]), 16, 0, MEAN)
    np.testing.assert_array_equal(found[0, 0], image)


def test_outside_the_image_is_the_mean():
    white = jnp.full((1, 16, 16, 3), 255, jnp.uint8)
    found = np.asarray(warp(white, jnp.array([[[0.0, 0.0, 16.0, 16.0]]]), 32, 8, MEAN)[0, 0])
    assert (found[10:22, 10:22] == 255).all()
    assert (found[:6] == np.array(MEAN)).all() and (found[:, -6:] == np.array(MEAN)).all()


def test_each_window_is_of_its_own_image():
    images = jnp.stack([jnp.full((8, 8, 3), value, jnp.uint8) for value in (10, 200)])
    windows = jnp.tile(jnp.array([[1.0, 1.0, 7.0, 7.0]]), (2, 3, 1))
    found = warp(images, windows, 4, 0, MEAN)
    assert found.shape == (2, 3, 4, 4, 3) and found.dtype == jnp.uint8
    assert (found[0] == 10).all() and (found[1] == 200).all()


def test_a_window_without_area_gives_pixels():
    found = warp(jnp.asarray(photo()[None]), jnp.array([[[5.0, 5.0, 5.0, 5.0]]]), 8, 1, MEAN)
    assert len(np.unique(np.asarray(found).reshape(-1, 3), axis=0)) == 1


def test_padding_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="no room for a padding of 16"):
        with_context(jnp.zeros((1, 4)), 32, 16)
