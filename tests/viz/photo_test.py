"""A photograph over the classes that are named of it."""

import numpy as np

from jaxvision.viz.photo import with_classes


def test_the_photo_stays_as_it_is_and_bars_are_as_long_as_the_probabilities():
    photo = np.random.default_rng(0).integers(0, 256, (60, 400, 3), np.uint8)
    picture = with_classes(photo, ["cat", "dog"], np.array([0.75, 0.25]))
    np.testing.assert_array_equal(picture[:60], photo)
    assert picture.shape[0] > 90 and picture.shape[1] == 400
    bar = np.all(picture[60:] == (190, 214, 239), axis=-1)
    lengths = [int(np.flatnonzero(row).max()) + 1 for row in bar if row.any()]
    assert max(lengths) == 300 and 100 in lengths


def test_a_tiny_image_is_on_a_sheet_wide_enough_for_names():
    picture = with_classes(np.zeros((8, 8, 3), np.uint8), ["a rather long name of a class"], np.array([1.0]))
    assert picture.shape[1] == 200 and not picture[:8, :8].any() and (picture[:8, 8:] == 255).all()
    assert with_classes(np.zeros((8, 300, 3), np.uint8), [], np.array([])).shape == (12, 300, 3)


def test_probabilities_that_are_no_numbers_have_no_bars():
    picture = with_classes(np.zeros((60, 400, 3), np.uint8), ["cat"], np.array([np.nan]))
    assert not np.all(picture[60:] == (190, 214, 239), axis=-1).any()
