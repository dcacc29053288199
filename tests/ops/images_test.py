"""Pixels on the device."""

import jax.numpy as jnp
import numpy as np

from jaxvision.ops.images import normalise


def test_normalise_is_by_channel():
    image = jnp.array([[[[10, 20, 30]]]], jnp.uint8)
    np.testing.assert_allclose(normalise(image, (10.0, 10.0, 10.0), (1.0, 2.0, 4.0)), [[[[0, 5, 5]]]])
