import numpy as np
import pytest

from jaxvision.viz.grid import FRAME, GAP, LINE, RIGHT, WRONG, grid, predictions


def noise(n: int, h: int, w: int, c: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, h, w, c), dtype=np.uint8)


@pytest.mark.parametrize(
    ("h", "w", "scale"), [(8, 8, 12), (28, 28, 4), (32, 32, 3), (20, 48, 2), (96, 10, 1), (200, 150, 1)]
)
def test_images_are_enlarged_by_a_whole_factor_and_placed_exactly(h, w, scale):
    images = noise(5, h, w)
    picture = grid(images, 3)
    h, w = h * scale, w * scale
    assert picture.shape == (GAP + 2 * (h + GAP), GAP + 3 * (w + GAP), 3)
    assert picture.dtype == np.uint8
    seen = np.zeros(picture.shape[:2], bool)
    for i, image in enumerate(images):
        top, left = GAP + i // 3 * (h + GAP), GAP + i % 3 * (w + GAP)
        part = np.s_[top : top + h, left : left + w]
        np.testing.assert_array_equal(picture[part], np.kron(image, np.ones((scale, scale, 1), np.uint8)))
        seen[part] = True
    assert np.all(picture[~seen] == 255)


def test_grey_images_are_drawn_in_all_three_channels():
    images = noise(1, 96, 96, 1)
    picture = grid(images, 1)
    np.testing.assert_array_equal(picture[GAP:-GAP, GAP:-GAP], images[0].repeat(3, axis=2))


def test_captions_take_lines_below_and_leave_the_images_alone():
    images = noise(3, 96, 96)
    picture = grid(images, 2, ["one", "two\nlines", "Ünï漢"])
    assert picture.shape[0] == GAP + 2 * (96 + 2 * LINE + GAP)
    row = GAP + 96 + 2 * LINE + GAP
    np.testing.assert_array_equal(picture[row : row + 96, GAP : GAP + 96], images[2])
    text = picture[GAP + 96 : row, GAP : GAP + 96]
    assert text.min() < 128


def test_narrow_images_are_centred_over_their_captions():
    images = noise(1, 96, 20)
    picture = grid(images, 1, ["caption"])
    assert picture.shape[1] == 2 * GAP + 96
    np.testing.assert_array_equal(picture[GAP : GAP + 96, GAP + 38 : GAP + 58], images[0])


def test_long_captions_stay_inside_their_tile():
    picture = grid(noise(2, 96, 96), 2, ["x" * 500, ""])
    below = picture[GAP + 96 :]
    assert np.all(below[:, GAP + 96 :] == 255)


def test_frames_lie_around_the_image():
    images = noise(1, 96, 96)
    picture = grid(images, 1, colors=[WRONG])
    np.testing.assert_array_equal(picture[GAP : GAP + 96, GAP : GAP + 96], images[0])
    assert np.all(picture[GAP - FRAME : GAP, GAP : GAP + 96] == WRONG)
    assert np.all(picture[GAP + 96 : GAP + 96 + FRAME, GAP : GAP + 96] == WRONG)
    assert np.all(picture[: GAP - FRAME] == 255)


def test_more_columns_than_images_leave_no_empty_tiles():
    assert grid(noise(2, 96, 96), 10).shape[1] == GAP + 2 * (96 + GAP)


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (1, 8, 8, 2)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match="grid"):
        grid(np.zeros(shape, np.uint8), 2)


def test_one_caption_and_color_for_each_image():
    with pytest.raises(ValueError, match="1 captions for 2 images"):
        grid(noise(2, 8, 8), 2, ["one"])
    with pytest.raises(ValueError, match="0 colors for 2 images"):
        grid(noise(2, 8, 8), 2, colors=[])


NAMES = ("cat", "a very long class name that has to be cut", "Übergröße")


def test_predictions_frame_right_and_wrong():
    images = noise(2, 144, 144)
    probabilities = np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]])
    picture = predictions(images, probabilities, NAMES, np.array([0, 1]))
    second = GAP + 144 + GAP
    assert np.all(picture[GAP - 1, GAP : GAP + 144] == RIGHT)
    assert np.all(picture[GAP - 1, second : second + 144] == WRONG)
    np.testing.assert_array_equal(picture[GAP : GAP + 144, second : second + 144], images[1])


def test_bars_are_as_long_as_the_probability():
    picture = predictions(noise(1, 144, 144), np.array([[0.75, 0.25]]), ("", ""), np.array([0]))
    top = GAP + 144 + FRAME + 2
    row = picture[top, GAP : GAP + 144].astype(int)  # above the text
    green = (row[:, 1] > row[:, 0] + 10).sum()
    assert green == 108


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_predictions_of_few_classes_and_without_labels(k):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(k), 3)
    names = [f"class {i} " * 20 for i in range(k)]
    picture = predictions(noise(3, 28, 28, 1), probabilities, names, columns=2)
    assert picture.shape[1] == GAP + 2 * (28 * 6 + GAP)
    assert picture.dtype == np.uint8


def test_predictions_show_nan():
    predictions(noise(1, 8, 8), np.array([[np.nan, 0.5]]), ("a", "b"), np.array([1]))


def test_predictions_need_a_column_a_class():
    with pytest.raises(ValueError, match="3 class names"):
        predictions(noise(2, 8, 8), np.ones((2, 4)) / 4, NAMES)


def test_the_same_picture_every_time():
    draw = lambda: predictions(noise(4, 8, 8), np.ones((4, 3)) / 3, NAMES, np.arange(4) % 3)  # noqa: E731
    np.testing.assert_array_equal(draw(), draw())


def test_captions_of_a_wide_picture_grow_with_it():
    images = np.zeros((4, 300, 560, 3), np.uint8)
    narrow, wide = grid(images, 1, ["caption"] * 4, size=1), grid(images, 4, ["caption"] * 4, size=1)
    assert narrow.shape[0] == GAP + 4 * (300 + LINE + GAP)
    letters = wide.shape[1] / 1120
    assert letters > 2 and wide.shape[0] == GAP + 300 + round(LINE * letters) + GAP
    ink = np.flatnonzero((wide[GAP + 305 :, :200] < 128).any(axis=(1, 2)))
    assert np.ptp(ink) > 16  # at half the size the letters are still as high as those of a narrow picture
    thin = grid(images[:, :, :8], 4, ["caption"] * 4, size=300)  # whose tiles are wider than the images
    assert thin.shape[1] > 1120 and thin.shape[0] == GAP + 300 + round(LINE * thin.shape[1] / 1120) + GAP
