"""Looks at an image agree with looking at it whole wherever they must."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxvision.ops import looks


def pixelwise(images):
    """A network that sees one pixel only, at any size."""
    return images @ jnp.array([[1.0, -2.0, 0.5], [0.3, 0.1, -1.0], [2.0, 0.0, 1.0]])


def valid_net(images):
    """A 5×5 convolution without padding: the map loses 4 pixels."""
    kernel = jnp.asarray(np.random.default_rng(1).normal(size=(5, 5, 3, 3)), jnp.float32)
    return lax.conv_general_dilated(
        images, kernel, (1, 1), ((0, 0), (0, 0)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def images_of(height: int = 9, width: int = 13) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=(2, height, width, 3)), jnp.float32)


@pytest.mark.parametrize("window", [(4, 4), (9, 13), (5, 13), (16, 20)], ids=str)
@pytest.mark.parametrize("stride", [(1, 1), (3, 2), (4, 4)], ids=str)
def test_sliding_a_pixelwise_network_is_the_whole_image(window, stride):
    expected = looks.whole(pixelwise, images_of())
    found = looks.sliding(window, stride)(pixelwise, images_of())
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("size", "tile"), [((9, 13), (9, 8)), ((9, 13), (30, 6)), ((3, 4), (6, 6))], ids=str)
def test_tiles_of_a_network_without_padding_are_seamless(size, tile):
    images = images_of(*size)
    mirrored = jnp.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    expected = looks.whole(valid_net, mirrored)
    found = jax.jit(looks.sliding(tile, (tile[0] - 4, tile[1] - 4)), static_argnums=0)(valid_net, images)
    assert found.shape == (2, *size, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_overlapping_windows_are_averaged():
    """A network that calls its window's first column 0 and the rest 1: column 2 is seen as both."""

    def first_column(images):
        columns = jnp.arange(images.shape[2])
        one = jnp.where(columns == 0, 50.0, -50.0)
        return jnp.broadcast_to(jnp.stack([one, -one], -1)[None, None], (*images.shape[:3], 2))

    found = looks.sliding((1, 4), (1, 2))(first_column, jnp.zeros((1, 1, 6, 3)))
    np.testing.assert_allclose(found[0, 0, :, 0], [1, 0, 0.5, 0, 0, 0], atol=1e-6)


def test_a_stride_that_leaves_pixels_out_is_an_error():
    for stride in ((5, 1), (1, 0), (2, 3)):
        with pytest.raises(ValueError, match=r"sliding: a stride of .* maps of \(2, 2\)"):
            looks.sliding((6, 6), stride)(valid_net, images_of())


def test_several_scales_agree_on_a_constant_image_and_average():
    images = jnp.ones((1, 8, 12, 3)) * jnp.array([0.1, 0.5, 0.2]).reshape(1, 1, 1, 3)
    expected = looks.whole(pixelwise, images)
    sizes = []

    def watch(images):
        sizes.append(images.shape[1:3])
        return pixelwise(images)

    found = looks.multi_scale((0.5, 1.0, 1.5), flip=False, multiple=4)(watch, images)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert sizes == [(4, 8), (8, 12), (12, 16)]  # 6 and 18 are half way and go to even multiples
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_the_mirror_image_is_mirrored_back():
    def position(images):
        """Logits that grow from left to right, whatever the image."""
        ramp = jnp.linspace(0.0, 3.0, images.shape[2])
        return jnp.broadcast_to(jnp.stack([ramp, -ramp], -1)[None, None], (*images.shape[:3], 2))

    found = looks.multi_scale((1.0,))(position, images_of())
    np.testing.assert_allclose(found, found[:, :, ::-1], atol=1e-6)
    expected = looks.whole(pixelwise, images_of())
    np.testing.assert_allclose(looks.multi_scale((1.0,))(pixelwise, images_of()), expected, atol=1e-6)


def test_scales_may_look_through_windows():
    look = looks.multi_scale((1.0, 2.0), look=looks.sliding((6, 6), (4, 4)))
    expected = looks.multi_scale((1.0, 2.0))(pixelwise, images_of())
    np.testing.assert_allclose(look(pixelwise, images_of()), expected, atol=1e-5)


def test_proposals_keep_the_highest_score_of_each_pixel_and_nothing_outside():
    """Scores are the brightness, and what it lacks to 1; the image is dark on the left and bright on the right."""
    images = jnp.zeros((2, 12, 20, 3)).at[:, :, 10:].set(1.0)
    shapes: list[tuple[int, ...]] = []

    def classify(crops):
        shapes.append(crops.shape)
        brightness = crops.mean(-1)
        return jnp.stack([brightness, 1 - brightness], axis=-1)

    boxes = jnp.array([[[2.0, 2.0, 8.0, 10.0], [12.0, 2.0, 18.0, 10.0], [0.0, 0.0, 20.0, 12.0]]] * 2)
    valid = jnp.array([[True, True, False], [True, False, False]])
    found = jax.jit(lambda x, b, v: looks.proposals(8)(classify, x, boxes=b, valid=v))(images, boxes, valid)
    assert found.shape == (2, 12, 20, 2) and set(shapes) == {(2, 8, 8, 3)}
    winner = float(jax.nn.softmax(jnp.array([1.0, 0.0]))[0])
    np.testing.assert_allclose(found[0, 4, 14], [winner, 1 - winner], atol=1e-3)
    np.testing.assert_allclose(found[0, 4, 4], [1 - winner, winner], atol=1e-3)
    for outside in (found[0, 0, 0], found[0, 4, 10], found[1, 4, 14]):  # of no box, or only of one that is padding
        np.testing.assert_allclose(outside, [0.5, 0.5], atol=1e-6)


def test_of_overlapping_proposals_the_higher_score_counts():
    def classify(crops):  # the mean of the crop, at all of its pixels
        return jnp.broadcast_to(crops.mean((1, 2, 3))[:, None, None, None], (*crops.shape[:3], 1))

    images = jnp.zeros((1, 16, 16, 1)).at[0, :8, :8].set(1.0)
    boxes = jnp.array([[[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 16.0, 16.0]]])

    def against_zero(crops):
        return jnp.concatenate([classify(crops), 0 * classify(crops)], axis=-1)

    found = looks.proposals(4)(against_zero, images, boxes=boxes, valid=jnp.ones((1, 2), bool))[0]
    scores = jnp.log(found[..., 0] / found[..., 1])
    np.testing.assert_allclose(scores[:8, :8], 1.0, atol=0.1)  # antialiasing sees past the box
    np.testing.assert_allclose(scores[9:, 9:], 0.25, atol=0.02)
