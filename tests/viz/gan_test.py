import numpy as np
import pytest

from jaxvision.viz.gan import (
    Term,
    arithmetic,
    by_class,
    generator_gradients,
    interpolations,
    mixture,
    samples,
)
from jaxvision.viz.grid import FRAME, GAP, RIGHT

RNG = np.random.default_rng(0)
TITLE = 24


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape).astype(np.uint8)


def at(picture: np.ndarray, row: int, column: int, left: int = 0, top: int = TITLE) -> np.ndarray:
    """The tile of 64 × 64 pixels in a grid whose corner is at (left, top)."""
    y, x = top + GAP + row * (64 + GAP), left + GAP + column * (64 + GAP)
    return picture[y : y + 64, x : x + 64]


def framed(picture: np.ndarray, row: int, column: int, left: int = 0, top: int = TITLE) -> bool:
    y, x = top + GAP + row * (64 + GAP), left + GAP + column * (64 + GAP)
    return bool(np.all(picture[y - FRAME : y, x : x + 64] == RIGHT))


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_stand_to_the_left_of_real_images(channels):
    fake, real = noise(5, 64, 64, channels), noise(7, 64, 64, channels)
    picture = samples(fake, real)
    side = GAP + 3 * (64 + GAP)
    assert picture.shape == (TITLE + GAP + 2 * (64 + GAP), 2 * side, 3)
    np.testing.assert_array_equal(at(picture, 1, 1), np.broadcast_to(fake[4], (64, 64, 3)))
    np.testing.assert_array_equal(at(picture, 0, 2, side), np.broadcast_to(real[2], (64, 64, 3)))
    assert np.all(at(picture, 1, 2, side) == 255), "as many real images as samples"


def test_the_first_samples_alone():
    images = noise(9, 16, 16, 3)
    picture = samples(images, most=4)
    assert picture.shape == (TITLE + GAP + 2 * (64 + GAP), GAP + 2 * (64 + GAP), 3)
    np.testing.assert_array_equal(at(picture, 1, 1)[::4, ::4], images[3])


def test_a_column_for_each_class():
    images, labels = noise(5, 64, 64, 3), np.array([2, 0, 2, 2, 0])
    picture = by_class(images, labels, ["cat", "dog", "a very long name that is cut"], most=2)
    assert picture.shape == (TITLE + GAP + 2 * (64 + GAP), GAP + 2 * (64 + GAP), 3)
    for (row, column), i in {(0, 0): 1, (1, 0): 4, (0, 1): 0, (1, 1): 2}.items():
        np.testing.assert_array_equal(at(picture, row, column), images[i])
    picture = by_class(images[1:], labels[1:], ["cat", "dog", "owl"], most=5)
    np.testing.assert_array_equal(at(picture, 1, 0), images[4])
    picture = by_class(images[:4], labels[:4], ["cat", "dog", "owl"])
    assert np.all(at(picture, 2, 0) == 255), "a missing sample is white"


def test_a_class_without_a_name_is_an_error():
    with pytest.raises(ValueError, match="2 class names"):
        by_class(noise(1, 8, 8, 3), np.array([2]), ["cat", "dog"])


def test_walks_are_rows_with_framed_ends():
    images = noise(2, 4, 64, 64, 3)
    picture = interpolations(images)
    np.testing.assert_array_equal(at(picture, 1, 2, top=0), images[1, 2])
    assert [framed(picture, 1, column, top=0) for column in range(4)] == [True, False, False, True]


def test_a_sum_of_latents():
    terms = [Term(name, sign, noise(n, 64, 64, 3), noise(64, 64, 3)) for name, sign, n in (("a", 1, 3), ("b", -1, 2))]
    results = noise(9, 64, 64, 3)
    picture = arithmetic(terms, results)
    column, sign = 64 + 2 * GAP, 36
    np.testing.assert_array_equal(at(picture, 1, 0), terms[0].examples[1])
    np.testing.assert_array_equal(at(picture, 3, 0), terms[0].mean)
    np.testing.assert_array_equal(at(picture, 2, 0, column + sign), terms[1].mean)
    assert framed(picture, 3, 0) and framed(picture, 2, 0, column + sign) and not framed(picture, 1, 0)
    np.testing.assert_array_equal(at(picture, 1, 1, 2 * (column + sign)), results[4])
    assert framed(picture, 1, 1, 2 * (column + sign)) and not framed(picture, 0, 0, 2 * (column + sign))


def test_points_on_their_mixture():
    means = np.array([[0.0, 2.0], [2.0, 0.0]])
    truth = means[[0, 1, 0, 1]] + 0.01
    points = np.array([[0.0, 0.0], [1e6, 0.0], [np.nan, 0.0], [0.0, 2.0]])
    picture = mixture(truth, points, means, 0.05)
    assert picture.shape == (500, 1040, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, mixture(truth, points, means, 0.05))
    assert np.any(picture != mixture(truth, points[:1], means, 0.05))


def test_gradients_against_scores():
    scores = np.linspace(0.0, 1.0, 50)
    picture = generator_gradients(scores, {"minimax": -scores, "non_saturating": scores - 1.0})
    assert picture.shape == (500, 1040, 3) and picture.dtype == np.uint8
