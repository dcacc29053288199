import numpy as np
import pytest

from jaxvision.viz.detection import NEGATIVE, OBJECT, POSITIVE
from jaxvision.viz.grid import GAP
from jaxvision.viz.proposals import best_boxes, coverage_curves, depths, regions

IMAGE = np.zeros((4, 6, 3), np.uint8)
IMAGE[:, 3:] = (200, 100, 50)
IMAGE[0, 3] = (180, 100, 50)
LABELS = (np.arange(24).reshape(4, 6) % 6 >= 3).astype(np.int32)


def colors(picture: np.ndarray) -> set[tuple[int, ...]]:
    return set(map(tuple, np.unique(picture.reshape(-1, 3), axis=0).tolist()))


def test_regions_have_their_mean_colour_and_borders():
    picture = regions(IMAGE, LABELS, size=60)
    assert picture.shape == (40, 60, 3)
    assert colors(picture) == {(0, 0, 0), (198, 100, 50), (255, 255, 255)}
    assert (picture[:, 30] == 255).all() and (picture[:, :30] == 0).all()
    assert IMAGE[0, 3, 0] == 180  # the image is as it was


def test_numbers_without_pixels_are_passed_over():
    assert colors(regions(IMAGE, LABELS * 2, size=6)) == {(0, 0, 0), (198, 100, 50), (255, 255, 255)}


def test_depths_stand_side_by_side():
    picture = depths(IMAGE, [LABELS, np.zeros_like(LABELS)])
    factor = -(-320 // 6)
    across = 3 * (6 * factor + GAP) + GAP
    assert picture.shape[1] == across and picture.shape[0] > 4 * factor
    assert (picture[GAP + 5, -GAP - 5] < 236 - 5).all()  # the last is one region, dark


def test_the_best_boxes_are_green_from_half_on():
    objects = np.array([[2, 2, 12, 12], [20, 20, 30, 30], [31, 2, 38, 9]], np.float32)
    proposals = np.array([[20, 20, 30, 24], [2, 2, 12, 11]], np.float32)
    picture = best_boxes(
        np.full((40, 40, 3), 120, np.uint8), proposals, objects, np.array([1, 0, 0]), np.array([0.9, 0.4, 0.0])
    )
    assert picture.shape[1] == 480 and {POSITIVE, NEGATIVE, OBJECT} <= colors(picture[:480])
    rows = picture[:480]
    green, red = ((rows == np.array(color)).all(axis=-1).nonzero() for color in (POSITIVE, NEGATIVE))
    assert green[0].max() < red[0].max() and green[0].min() < red[0].min()  # the first object is the upper one
    alone = best_boxes(np.full((40, 40, 3), 120, np.uint8), proposals, objects[2:], np.array([0]), np.array([0.0]))
    assert not {POSITIVE, NEGATIVE} & colors(alone[:480])


@pytest.mark.parametrize("counts", [(5,), (1, 10, 100, 1000)])
def test_curves_rise_with_their_values(counts: tuple[int, ...]):
    low = coverage_curves(counts, {"a": np.full(len(counts), 0.1)})
    high = coverage_curves(counts, {"a": np.full(len(counts), 0.9)})
    assert low.shape == high.shape and low.shape[2] == 3
    left = 500  # columns: without the legend
    blue = [(p[:, :left] == (31, 119, 180)).all(axis=-1).nonzero()[0].mean() for p in (low, high)]
    assert blue[1] < blue[0] - 100
