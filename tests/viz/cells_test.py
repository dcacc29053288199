import numpy as np

from jaxvision.viz.boxes import color_of
from jaxvision.viz.cells import cells, class_map, confidences, taught

NAMES = ("background", "cat", "dog")


def grey(*shape):
    return np.full((*shape, 3), 128, np.uint8)


def near(pixel, color, opacity):
    return np.abs(pixel - (128 * (1 - opacity) + np.array(color) * opacity)).max() < 2


def test_the_cell_of_an_objects_centre_has_its_colour():
    boxes, labels = np.array([[4.0, 4, 28, 24], [34, 36, 62, 60]]), np.array([1, 2])  # centres (16, 14), (48, 48)
    picture = taught(grey(64, 64), boxes, labels, 4, NAMES)
    side = picture.shape[0] // 4
    assert near(picture[side // 2 + 6, side + 12], color_of(1), 0.55)  # column 1, row 0
    assert near(picture[3 * side + 12, 3 * side + 12], color_of(2), 0.55)
    assert (picture[3 * side + 12, side // 2] == 128).all()


def test_of_two_objects_in_a_cell_the_first_colours_it():
    boxes = np.array([[0.0, 0, 14, 14], [0, 0, 15, 15]])
    for labels in ([1, 2], [2, 1]):
        picture = taught(grey(64, 64), boxes, np.array(labels), 4, NAMES)
        assert near(picture[40, 60], color_of(labels[0]), 0.55)


def test_sure_boxes_are_bright_and_wide_and_on_top():
    boxes = np.zeros((1, 1, 3, 4))
    boxes[..., :] = [10, 10, 50, 50]
    boxes[0, 0, 2] = [20, 20, 40, 40]
    confidence = np.array([[[1.0, 0.0, 0.3]]])
    picture = confidences(grey(64, 64), boxes, confidence)
    yellow = (picture == (255, 213, 0)).all(axis=-1)
    assert yellow[60 : 60 + 4, 200].all() and not yellow[118:140, 118:140].any()
    dark = (picture < 100).all(axis=-1)
    assert dark[110:130, 180].any()
    flipped = confidences(grey(64, 64), boxes, -confidence)
    assert not (flipped == (255, 213, 0)).all(axis=-1).any()


def test_likely_classes_are_opaque():
    classes = np.zeros((2, 2, 2))
    classes[0, 0], classes[0, 1], classes[1, 0] = [1.5, 0], [0, 0.5], [-0.5, -0.2]
    picture = class_map(grey(64, 64), classes)
    quarter = picture.shape[0] // 4
    assert near(picture[quarter, quarter], color_of(1), 0.55)
    assert near(picture[quarter, 3 * quarter], color_of(2), 0.275)
    assert (picture[3 * quarter, quarter] == 128).all() and (picture[3 * quarter, 3 * quarter] == 128).all()


def test_a_row_of_four_for_each_real_image():
    rng = np.random.default_rng(0)
    outputs = {
        "boxes": np.array([[[4.0, 4, 20, 20]]] * 3),
        "scores": np.full((3, 1), 0.9),
        "labels": np.ones((3, 1), int),
        "valid": np.ones((3, 1), bool),
        "cell_classes": rng.random((3, 2, 2, 2)),
        "cell_confidence": rng.random((3, 2, 2, 2)),
        "cell_boxes": rng.random((3, 2, 2, 2, 4)) * 32,
    }
    batch = {
        "boxes": np.array([[[4.0, 4, 20, 20], [0, 0, 0, 0]]] * 3),
        "labels": np.array([[1, 0]] * 3),
        "valid": np.array([[True, False]] * 3),
        "ignore": np.zeros((3, 2), bool),
        "_mask": np.array([True, True, False]),
    }
    images = np.full((3, 32, 32, 3), 128, np.uint8)
    two, one = cells(images, outputs, batch, NAMES), cells(images, outputs, batch, NAMES, most=1)
    assert two.shape[1] == one.shape[1] > 4 * 384 and 384 < two.shape[0] - one.shape[0] < 460
    assert two.dtype == np.uint8
