"""A batch is drawn by what it holds."""

import numpy as np
import pytest

from jaxvision.viz.batch import draw, draw_seen
from jaxvision.viz.boxes import color_of

NAMES = ("background", "cat", "dog")
IMAGES = np.full((4, 48, 64, 3), 200, np.uint8)


def colors(picture: np.ndarray | None) -> set[tuple[int, ...]]:
    assert picture is not None
    return {tuple(color) for color in np.unique(picture.reshape(-1, 3), axis=0).tolist()}


def test_objects_have_boxes_in_their_colours():
    boxes = np.tile(np.array([[5, 5, 30, 30], [0, 0, 0, 0]], np.float32), (4, 1, 1))
    labels, valid = np.tile(np.array([2, 1], np.int32), (4, 1)), np.tile(np.array([True, False]), (4, 1))
    batch = {"image": IMAGES, "boxes": boxes, "labels": labels, "valid": valid}
    seen = colors(draw(batch, NAMES))
    assert color_of(2) in seen and color_of(1) not in seen  # the second row is padding


def test_a_label_map_lies_beside_its_image_over_a_key():
    maps = np.zeros((4, 48, 64), np.uint8)
    maps[:, :10] = 1
    assert color_of(1) in colors(draw({"image": IMAGES, "label_map": maps}, NAMES))


@pytest.mark.parametrize("label", [0, 2, 7])
def test_labels_are_written_below_their_images(label: int):
    plain = draw({"image": IMAGES}, NAMES)
    named = draw({"image": IMAGES, "label": np.full(4, label, np.int32)}, NAMES)
    assert plain is not None and named is not None and named.shape[0] > plain.shape[0]


def test_wide_images_are_drawn_below_each_other():
    picture = draw({"image": np.zeros((3, 20, 900, 3), np.uint8)}, NAMES)
    assert picture is not None and picture.shape[1] < 1000


def test_what_is_no_image_is_not_drawn():
    assert draw({"image": np.zeros((4, 2), np.float32)}, NAMES) is None
    assert draw({"row": np.zeros((4, 2), np.int32)}, NAMES) is None


def test_inputs_follow_their_image():
    seen = np.full((4, 3, 24, 24, 3), 60, np.uint8)
    picture = draw_seen(IMAGES, seen)
    assert {(200, 200, 200), (60, 60, 60)} <= colors(picture)
    alone = draw_seen(IMAGES[:1], seen[:1])
    assert picture.size > alone.size and alone.shape[1] > 4 * 96
