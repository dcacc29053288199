import numpy as np
import pytest

from jaxvision.viz import boxes as boxes_module
from jaxvision.viz.boxes import color_of, draw_boxes, enlarge, ink_on, line_width, outline
from jaxvision.viz.text import INK, PAPER

NAMES = ("background", "cat", "a class whose name is very, very long indeed and does not fit", "Übergröße")


def grey(height=480, width=640):
    return np.full((height, width, 3), 128, np.uint8)


def test_lines_lie_inside_the_continuous_box():
    color, width = color_of(2), line_width((480, 640))
    picture = draw_boxes(grey(), np.array([[100.0, 50, 200, 150]]), np.array([2]))
    matches = np.all(picture == color, axis=2)
    rows, columns = np.nonzero(matches[:, 150:])  # right of the label
    assert columns.max() + 150 == 199 and rows.min() == 50 and rows.max() == 149
    assert np.all(matches[100, 100 : 100 + width]) and not matches[100, 99] and not matches[100, 100 + width]


@pytest.mark.parametrize(("height", "width", "factor"), [(32, 32, 15), (128, 96, 4), (480, 10, 1), (700, 900, 1)])
def test_small_images_are_enlarged_by_a_whole_factor(height, width, factor):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = draw_boxes(image, np.zeros((0, 4)))
    np.testing.assert_array_equal(picture, image.repeat(factor, 0).repeat(factor, 1))
    assert enlarge(image, 480)[1] == factor


def test_the_given_image_is_left_alone():
    image = grey(16, 16)
    draw_boxes(image, np.array([[1, 1, 9, 9]]))
    assert np.all(image == 128)


@pytest.fixture
def taken(monkeypatch):
    """The places that labels were given."""
    seen = []
    original = boxes_module._label

    def spy(draw, corners, text, color, shape, places):
        original(draw, corners, text, color, shape, places)
        seen[:] = places

    monkeypatch.setattr(boxes_module, "_label", spy)
    return seen


@pytest.mark.parametrize("seed", range(4))
def test_labels_lie_in_the_image_and_never_on_one_another(seed, taken):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-20, 600, (60, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 200, (60, 2))], axis=1)
    draw_boxes(grey(), boxes, rng.integers(1, 4, 60), rng.random(60), NAMES)
    assert len(taken) > 10
    for i, (x0, y0, x1, y1) in enumerate(taken):
        assert 0 <= x0 < x1 <= 640 and 0 <= y0 < y1 <= 480
        assert not [o for o in taken[:i] if min(x1, o[2]) > max(x0, o[0]) and min(y1, o[3]) > max(y0, o[1])]


def test_boxes_at_one_place_keep_their_labels_apart(taken):
    draw_boxes(grey(), np.array([[200.0, 200, 400, 300]] * 3), np.array([1, 2, 3]), np.array([0.2, 0.9, 0.5]))
    assert len(set(taken)) == 3
    assert taken[0][3] == 200  # the best score's lies on its box


def test_the_best_score_is_on_top():
    boxes = np.array([[100.0, 100, 300, 300]] * 2)
    for scores, best in (([0.9, 0.1], 1), ([0.1, 0.9], 3)):
        picture = draw_boxes(grey(), boxes, np.array([1, 3]), np.array(scores))
        assert tuple(picture[299, 200]) == color_of(best)


@pytest.mark.parametrize(
    "box",
    [[-50, -50, 900, 900], [5, 5, 5, 5], [9, 9, 4, 4], [1e9, 0, 2e9, 5], [0, 0, np.nan, 4], [-np.inf, 0, 5, 5]],
    ids=str,
)
def test_boxes_of_every_kind_are_drawn_or_left_out(box):
    picture = draw_boxes(grey(40, 60), np.array([box], np.float32), np.array([1]), np.array([0.5]), NAMES, size=1)
    assert picture.shape == (40, 60, 3)
    if not np.isfinite(box).all():
        assert np.all(picture == 128)


def test_whole_number_boxes_and_unnamed_labels():
    draw_boxes(grey(), np.array([[1, 2, 30, 40]], np.int32), np.array([7]), class_names=NAMES)


def test_colors_of_classes_differ_and_their_text_is_legible():
    colors = [color_of(k) for k in range(81)]
    assert len(set(colors)) == 81
    assert ink_on((250, 200, 20)) == INK and ink_on((88, 98, 220)) == PAPER
    first = np.array(colors[1:13], float)
    distances = np.linalg.norm(first[:, None] - first[None], axis=2) + 999 * np.eye(12)
    assert distances.min() > 50


def test_outline_in_given_colors():
    picture = outline(grey(50, 50), np.array([[10, 10, 40, 40]]), [(1, 2, 3)], width=1)
    assert tuple(picture[10, 20]) == (1, 2, 3) and tuple(picture[11, 20]) == (128, 128, 128)
