"""Pixels on the device."""

import jax.numpy as jnp
import numpy as np

from jaxvision.ops.images import normalise, unit


def test_normalise_is_by_channel():
    image = jnp.array([[[[10, 20, 30]]]], jnp.uint8)
    np.testing.assert_allclose(normalise(image, (10.0, 10.0, 10.0), (1.0, 2.0, 4.0)), [[[[0, 5, 5]]]])


def test_unit_is_a_fraction_of_white():
    np.testing.assert_allclose(unit(jnp.array([0, 51, 255], jnp.uint8)), [0.0, 0.2, 1.0], rtol=1e-6)
