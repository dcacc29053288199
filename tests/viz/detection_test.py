import numpy as np
import pytest

from jaxvision.viz.boxes import color_of
from jaxvision.viz.detection import (
    IGNORED,
    NEGATIVE,
    OBJECT,
    POSITIVE,
    anchors,
    detections,
    draw_instances,
    matches,
    proposals,
)
from jaxvision.viz.grid import GAP

NAMES = ("background", "cat", "dog")


def grey(*shape):
    return np.full((*shape, 3), 128, np.uint8)


def has(picture, color):
    return bool(np.all(picture == color, axis=-1).any())


def lattice(sizes=(16, 64), cells=4, stride=32):
    y, x = (np.mgrid[:cells, :cells] * stride + stride / 2).reshape(2, -1, 1, 1)
    sides = np.array([[s, 2 * s] for s in sizes] + [[2 * s, s] for s in sizes])[None]
    center = np.concatenate([x, y], axis=-1)
    return np.concatenate([center - sides / 2, center + sides / 2], axis=-1).reshape(-1, 4)


def test_anchors_of_one_place_have_a_color_for_each_area():
    picture = anchors(grey(128, 128), lattice())
    assert has(picture, color_of(1)) and has(picture, color_of(2)) and not has(picture, color_of(3))
    assert picture.shape[1] > 512 and picture.dtype == np.uint8  # a margin: the largest stick out


def test_anchors_that_rounding_made_a_little_different_are_of_one_area():
    boxes = np.array([[0.0, 0, 11, 23], [0, 0, 16, 16], [0, 0, 23, 12]]) + 20
    assert not has(anchors(grey(64, 64), boxes), color_of(2))


def test_anchors_too_dense_for_dots_and_no_anchors():
    picture = anchors(grey(64, 64), lattice((8, 16), cells=60, stride=1))
    assert not np.all(picture[:400] == 255, axis=-1).any()
    with pytest.raises(ValueError, match="anchors"):
        anchors(grey(64, 64), np.zeros((0, 4)))


def test_proposals_draw_the_best_valid_ones():
    boxes = np.array([[10.0, 10, 50, 50], [60, 60, 100, 100], [20, 70, 40, 90]])
    picture = proposals(grey(128, 128), boxes, np.array([0.9, 0.5, 0.99]), np.array([True, True, False]))
    assert np.any(picture[4 * 60 : 4 * 100, 4 * 60 : 4 * 100] != 128)
    assert np.all(picture[4 * 72 : 4 * 88, 4 * 21 : 4 * 39] == 128)
    one = proposals(grey(128, 128), boxes, np.array([0.9, 0.5, 0.99]), count=1)
    assert np.all(one[4 * 60 : 4 * 100, 4 * 60 : 4 * 100] == 128)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_proposals_of_few_and_of_equal_scores(count):
    proposals(grey(64, 64), np.tile([[5.0, 5, 20, 20]], (count, 1)), np.full(count, 0.5))


def test_matches_have_a_color_for_each_kind():
    boxes = lattice()
    assigned = np.zeros(len(boxes), int)
    assigned[4], assigned[8] = 1, -1
    picture = matches(grey(128, 128), boxes, assigned, np.array([[40.0, 40, 90, 90]]))[:512]
    assert all(has(picture, color) for color in (POSITIVE, NEGATIVE, IGNORED, OBJECT))
    none = matches(grey(128, 128), boxes, np.zeros(len(boxes), int), np.zeros((0, 4)))[:512]
    assert has(none, NEGATIVE) and not any(has(none, color) for color in (POSITIVE, IGNORED, OBJECT))


def example(masks=True):
    outputs = {
        "boxes": np.array([[[10.0, 10, 50, 50], [60, 60, 90, 90]]] * 2, np.float32),
        "scores": np.array([[0.9, 0.3]] * 2, np.float32),
        "labels": np.array([[1, 2]] * 2),
        "valid": np.ones((2, 2), bool),
        "logits": np.zeros((2, 7)),
    }
    batch = {
        "boxes": np.array([[[12.0, 8, 50, 50], [60, 60, 90, 90], [0, 0, 0, 0]]] * 2, np.float32),
        "labels": np.array([[1, 2, 0]] * 2),
        "valid": np.array([[True, True, False]] * 2),
        "ignore": np.array([[False, True, False]] * 2),
        "size": np.array([[96, 128]] * 2),
        "_mask": np.array([True, False]),
    }
    if masks:
        outputs["masks"], batch["masks"] = np.ones((2, 2, 14, 14), np.float32), np.ones((2, 3, 14, 14), bool)
    return outputs, batch


@pytest.mark.parametrize("masks", [True, False])
def test_detections_beside_what_is_there(masks):
    outputs, batch = example(masks)
    picture = detections(np.stack([grey(128, 128)] * 2), outputs, batch, NAMES)
    assert picture.shape[1] == 3 * GAP + 2 * 384
    left, right = picture[GAP : GAP + 384, GAP : GAP + 384], picture[GAP : GAP + 384, 2 * GAP + 384 : -GAP]
    assert has(left, color_of(1)) and not has(left, color_of(2))  # below the score
    assert has(right, color_of(1)) and has(right, IGNORED) and not has(right, color_of(2))
    assert np.all(left[3 * 96 :] == 255)  # the canvas beyond the image
    assert has(detections(np.stack([grey(128, 128)] * 2), outputs, batch, NAMES, min_score=0.2), color_of(2))


def test_detections_of_unlabelled_images():
    outputs, batch = example()
    picture = detections(np.stack([grey(128, 128)] * 2), outputs, {k: batch[k] for k in ("size", "_mask")}, NAMES)
    assert picture.shape[1] == 2 * GAP + 384


def test_instances_are_drawn_where_they_are():
    outputs, _ = example()
    picture = draw_instances(grey(128, 128), {k: v[0] for k, v in outputs.items() if k != "logits"}, NAMES)
    inside = picture[4 * 30, 4 * 30].astype(int)
    assert inside[0] > inside[1] + 20  # tinted red
    assert np.all(picture[4 * 110 :] == 128)


def test_no_instances():
    nothing = {"boxes": np.zeros((0, 4)), "labels": np.zeros(0, int), "valid": np.zeros(0, bool), "scores": np.zeros(0)}
    np.testing.assert_array_equal(draw_instances(grey(480, 480), nothing, NAMES), grey(480, 480))
