"""Pixels on the device."""

import jax.numpy as jnp
import numpy as np

from jaxvision.ops.images import from_unit, normalise, unit


def test_normalise_is_by_channel():
    image = jnp.array([[[[10, 20, 30]]]], jnp.uint8)
    np.testing.assert_allclose(normalise(image, (10.0, 10.0, 10.0), (1.0, 2.0, 4.0)), [[[[0, 5, 5]]]])


def test_unit_is_a_fraction_of_white():
    np.testing.assert_allclose(unit(jnp.array([0, 51, 255], jnp.uint8)), [0.0, 0.2, 1.0], rtol=1e-6)


def test_every_pixel_comes_back_from_its_fraction():
    pixels = jnp.arange(256, dtype=jnp.uint8)
    np.testing.assert_array_equal(from_unit(unit(pixels)), pixels)
    assert from_unit(jnp.array([-0.1, 0.499 / 255, 0.501 / 255, 1.1])).tolist() == [0, 0, 1, 255]
