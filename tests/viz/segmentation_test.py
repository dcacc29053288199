import numpy as np
import pytest

from jaxvision.viz.boxes import color_of
from jaxvision.viz.grid import GAP, WRONG
from jaxvision.viz.segmentation import (
    class_color,
    comparison,
    energy,
    errors,
    mean_iou,
    overlay,
    paint,
    predictions,
    unpooling,
)

NAMES = ("background", "cat", "dog")


def example(count: int = 2, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Grey images; a square of class 1, and a border that does not count."""
    images = np.full((count, side, side, 3), 128, np.uint8)
    maps = np.zeros((count, side, side), np.uint8)
    maps[:, 4:8, 4:8], maps[:, :, -2:] = 1, 255
    return images, maps


def has(picture: np.ndarray, color) -> bool:
    return bool(np.all(picture == color, axis=-1).any())


def test_overlay_tints_classes_and_leaves_the_background():
    images, maps = example()
    picture = overlay(images[0], maps[0], NAMES, size=160)[:160]
    assert np.all(picture[:40, :140] == 128) and np.all(picture[41, 40:80] == color_of(1))
    assert np.any(picture[60, 60] != 128) and set(np.unique(picture[:, 140:])) == {150, 255}
    assert np.all(images == 128)


def test_a_first_class_that_is_no_background_has_a_colour():
    images, maps = example()
    assert class_color(0, ("sky", "road")) == color_of(1) and class_color(1, ("sky", "road")) == color_of(2)
    assert class_color(1, NAMES) == color_of(1)
    assert np.all(overlay(images[0], maps[0], ("sky", "road", "car"), size=160)[4:36, 4:136] != 128)


@pytest.mark.parametrize("shape", [(192, 192), (40, 100), (300, 200)])
def test_paint_has_each_class_in_its_colour(shape):
    maps = np.zeros(shape, np.uint8)
    maps[:, 1:3] = 2
    picture = paint(maps, NAMES)
    assert has(picture, class_color(0, NAMES)) and has(picture, color_of(2)) and not has(picture, color_of(1))
    assert max(picture.shape[:2]) >= 192 and picture.shape[0] * shape[1] == picture.shape[1] * shape[0]


def test_errors_are_red_and_ignored_pixels_are_none():
    images, maps = example()
    assert not has(errors(images[0], maps[0], np.where(maps[0] == 255, 2, maps[0])), WRONG)
    red = np.all(errors(images[0], maps[0], np.zeros_like(maps[0])) == WRONG, axis=-1)
    np.testing.assert_array_equal(red, np.kron(maps[0] == 1, np.ones((12, 12), bool)))


def test_predictions_have_five_columns_and_three_without_truth():
    images, maps = example()
    picture = predictions(images, maps, np.zeros_like(maps), NAMES)
    assert picture.shape[1] == 6 * GAP + 5 * 192 and has(picture, WRONG)
    truth = picture[GAP : GAP + 192, 2 * GAP + 192 : 2 * GAP + 384]
    np.testing.assert_array_equal(truth, paint(maps[0], NAMES))
    assert predictions(images, None, maps, NAMES).shape[1] == 4 * GAP + 3 * 192
    assert predictions(images, maps, maps, NAMES, most=1).shape[0] < picture.shape[0]


def test_beyond_the_image_nothing_is_painted():
    images, maps = example(1)
    found = np.where(np.arange(16) < 12, 1, 2)[None, None].repeat(16, 1)  # class 2 on the canvas's padding alone
    picture = predictions(images, maps, found, NAMES, sizes=np.array([[8.0, 12.0]]))
    whole = predictions(images, maps, found, NAMES)
    assert has(whole, color_of(2)) and not has(picture, color_of(2))
    for column in range(5):
        left = GAP + column * (192 + GAP)
        assert np.all(picture[GAP + 96 : GAP + 192, left : left + 192] == 255)
        assert np.all(picture[GAP : GAP + 192, left + 144 : left + 192] == 255)
        assert not np.all(picture[GAP : GAP + 96, left : left + 144] == 255)


def test_comparison_has_a_column_for_each_network():
    images, maps = example(3)
    picture = comparison(images, maps, {"nearest": maps, "bilinear": np.zeros_like(maps)}, NAMES)
    assert picture.shape[1] == 5 * GAP + 4 * 192
    last = picture[GAP : GAP + 192, 4 * GAP + 3 * 192 : 4 * GAP + 4 * 192]
    assert np.all(last == class_color(0, NAMES))


def test_mean_iou_of_one_image():
    _, maps = example(1)
    assert mean_iou(maps[0], np.where(maps[0] == 255, 2, maps[0])) == 1.0
    assert mean_iou(maps[0], np.zeros_like(maps[0])) == pytest.approx((208 / 224 + 0) / 2)
    assert np.isnan(mean_iou(np.full((2, 2), 255), np.zeros((2, 2), int)))


def test_a_prediction_and_a_picture_of_nothing_that_counts():
    images, maps = example()
    predictions(images, np.full_like(maps, 255), maps * 0, NAMES)


def test_energy_is_relative_to_the_largest():
    maps = np.zeros((2, 2, 3), np.float32)
    maps[0, 1] = [3.0, 4.0, 0.0]
    picture = energy(maps, (8, 8))
    assert picture.shape == (8, 8, 3) and np.all(picture[:4, 4:] == picture[0, 4])
    assert picture[0, 4].sum() > 600 and picture[4:].max() < 10
    np.testing.assert_array_equal(energy(100 * maps, (8, 8)), picture)
    assert energy(0 * maps, (8, 8)).max() < 10


def test_unpooling_has_a_row_for_each_kind():
    images, _ = example()
    pairs = [(np.ones((n, n, 2), np.float32), np.ones((2 * n, 2 * n, 3), np.float32)) for n in (4, 8)]
    one = unpooling(images[0], {"nearest": pairs})
    two = unpooling(images[0], {"nearest": pairs, "bed_of_nails": pairs})
    assert one.shape[1] == two.shape[1] == 6 * GAP + 5 * 192
    assert two.shape[0] - GAP == 2 * (one.shape[0] - GAP)
    with pytest.raises(ValueError, match=r"rows of \[1, 2\] pairs"):
        unpooling(images[0], {"nearest": pairs, "bilinear": pairs[:1]})
