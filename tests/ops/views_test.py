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


def test_144_crops_are_three_squares_of_four_sizes_six_crops_of_each_and_their_mirrors():
    image = jnp.broadcast_to(jnp.arange(66.0)[None, None, :, None], (1, 44, 66, 1))  # grey values are columns
    crops = views.crops_144(28, (32, 36, 40, 44))(image)
    assert len(crops) == 144 and {crop.shape for crop in crops} == {(1, 28, 28, 1)}
    largest = np.stack(crops[54:72])[:, 0, 0, :, 0]  # of the largest size, whose scale is 1
    lefts = [0, 16, 0, 16, 8]  # of the corners and the centre in a square of 44
    expected = [start + left for start in (0, 11, 22) for left in lefts]
    assert [int(row[0]) for i, row in enumerate(largest) if i % 6 < 5] == expected
    for i, start in enumerate((0, 11, 22)):  # the whole square, resized
        np.testing.assert_allclose(largest[6 * i + 5].mean(), start + 21.5, atol=0.1)
    np.testing.assert_array_equal(crops[72 + 3], crops[3][:, :, ::-1])


def test_the_squares_of_a_portrait_are_top_middle_and_bottom():
    image = jnp.broadcast_to(jnp.arange(66.0)[None, :, None, None], (1, 66, 44, 1))
    crops = views.crops_144(28, (44,))(image)
    assert [int(crops[6 * i][0, 0, 0, 0]) for i in range(3)] == [0, 11, 22]


def test_a_whole_image_keeps_its_proportions_at_every_scale():
    looks = views.multi_scale((4, 8))(jnp.ones((1, 6, 9, 3)))
    assert [look.shape[1:3] for look in looks] == [(4, 6), (8, 12)] * 2


@pytest.mark.parametrize("count", [3, 11])
def test_views_of_one_size_go_through_one_network_and_give_the_same(count: int):
    """Some after one another, many image by image."""
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 1)), jnp.float32)
    batches: list[int] = []

    def cut(pixels):
        return [pixels + i for i in range(count)]

    def classify(view):
        batches.append(view.shape[0])
        return {"sum": view.sum((1, 2, 3)), "largest": view.max((1, 2))}

    found = views.looked_at(classify, cut, images)
    assert batches == ([2] if count == 3 else [11])
    each = [classify(view) for view in cut(images)]
    for name, value in found.items():
        np.testing.assert_allclose(value, np.mean([one[name] for one in each], axis=0), rtol=1e-5)
    assert found["largest"].shape == (2, 1) and found["sum"].shape == (2,)
