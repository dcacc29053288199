"""The views of a test image."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import views


def test_ten_crops_are_corners_centre_and_mirrors():
    image = jnp.arange(25.0).reshape(1, 5, 5, 1)
    crops = views.ten_crops(3)(image)
    assert [int(c[0, 0, 0, 0]) for c in crops] == [0, 2, 10, 12, 6, 2, 4, 12, 14, 8]
    np.testing.assert_array_equal(crops[5], crops[0][:, :, ::-1])
    with pytest.raises(ValueError, match="larger images than 5×5"):
        views.ten_crops(6)(image)


def test_multi_scale_keeps_a_constant_image_and_mirrors():
    looks = views.multi_scale((4, 8))(jnp.full((2, 6, 6, 3), 7.0))
    assert [x.shape[1] for x in looks] == [4, 8, 4, 8]
    for look in looks:
        np.testing.assert_allclose(look, 7.0, rtol=1e-6)
    ramp = views.multi_scale((3,))(jnp.arange(6.0).reshape(1, 1, 6, 1) * jnp.ones((1, 6, 1, 1)))
    np.testing.assert_allclose(ramp[1], ramp[0][:, :, ::-1])


def test_probabilities_are_averaged_after_the_softmax():
    found = views.mean_probabilities([jnp.array([[0.0, 0.0]]), jnp.array([[100.0, 0.0]])])
    np.testing.assert_allclose(found, [[0.75, 0.25]], atol=1e-6)
