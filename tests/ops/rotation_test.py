"""Turns are exact, whole, and of squares only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.rotation import ANGLES, quarter_turns


def test_turns_are_those_of_numpy_and_of_pillow():
    from PIL import Image

    images = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), np.uint8)
    turned = np.asarray(jax.jit(quarter_turns)(images))
    assert turned.dtype == np.uint8
    for i, angle in enumerate(ANGLES):
        np.testing.assert_array_equal(turned[:, i], np.rot90(images, i, (1, 2)))
        np.testing.assert_array_equal(turned[0, i], np.asarray(Image.fromarray(images[0]).rotate(angle)))


def test_turning_four_times_is_nothing_and_commutes_with_resizing():
    """Half-pixel centres: a turned image resized is the resized image turned, so no angle is told by interpolation."""
    images = jax.random.uniform(jax.random.PRNGKey(0), (1, 6, 6, 3))
    quarter = quarter_turns(images)[:, 1]
    np.testing.assert_array_equal(quarter_turns(quarter)[:, 3], images)
    for method in ("bilinear", "cubic"):
        large = jax.image.resize(images, (1, 9, 9, 3), method)
        turned = jax.image.resize(quarter, (1, 9, 9, 3), method)
        np.testing.assert_allclose(turned, quarter_turns(large)[:, 1], atol=1e-6)


def test_only_squares():
    with pytest.raises(ValueError, match="images of 4x6 pixels; crop them to squares"):
        quarter_turns(jnp.zeros((1, 4, 6, 3)))
