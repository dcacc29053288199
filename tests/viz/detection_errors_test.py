import numpy as np
import pytest

from jaxvision.viz.detection import NEGATIVE, OBJECT
from jaxvision.viz.detection_errors import TILE, DetectionError, cut, order, worst_errors

NAMES = ("background", *(f"class {i}" for i in range(30)))


def error(missed=False, label=1, rank=0.5, image_id=0, shade=None):
    tile = None if shade is None else np.full((TILE, TILE, 3), shade, np.uint8)
    return DetectionError(missed, label, 0.7, 0.2, "misplaced", rank, image_id, tile)


def has(picture, color):
    return bool(np.all(picture == color, axis=-1).any())


@pytest.mark.parametrize(
    "box",
    [[20, 20, 40, 60], [0, 0, 5, 5], [-30, -30, 10, 10], [0, 0, 100, 80], [95, 70, 130, 99], [50, 50, 50, 50]],
    ids=str,
)
def test_a_tile_shows_the_boxes_with_context(box):
    image, box = np.full((80, 100, 3), 77, np.uint8), np.array(box, np.float64)
    tile = cut(image, box, None)
    assert tile.shape == (TILE, TILE, 3)
    assert has(tile, NEGATIVE) and has(tile, (77, 77, 77)) and not has(tile, OBJECT)
    assert has(cut(image, None, box), OBJECT)
    both = cut(image, box, box + 4)
    assert has(both, NEGATIVE) and has(both, OBJECT)


def test_a_tile_stays_in_the_image_where_it_can():
    image = np.full((100, 100, 3), 77, np.uint8)
    tile = cut(image, np.array([1.0, 1, 21, 21]), None)
    assert np.all(tile[0, 60:] == 77) and np.all(tile[-1] == 77)


def test_the_page_orders_by_rank_and_leaves_out_what_is_not_among_the_worst():
    errors = [
        error(rank=0.1, shade=10),
        error(rank=0.9, shade=90),
        error(rank=0.5, shade=50),
        error(missed=True, shade=33),
    ]
    assert [e.rank for e in sorted(errors[:3], key=order)] == [0.9, 0.5, 0.1]
    picture = worst_errors(errors, NAMES, each=2)
    columns = [int(np.nonzero(np.all(picture == shade, axis=2))[1].min()) for shade in (90, 50, 33)]
    assert columns == sorted(columns)
    assert not has(picture, (10, 10, 10))


def test_the_class_with_most_errors_comes_first_and_a_page_ends():
    errors = [error(label=1, shade=10), error(label=2, shade=20), error(label=2)]
    rows = [int(np.nonzero(np.all(worst_errors(errors, NAMES) == s, axis=2))[0].min()) for s in (20, 10)]
    assert rows == sorted(rows)
    heights = [worst_errors([error(label=k) for k in range(1, n)], NAMES).shape[0] for n in (5, 13, 25)]
    assert heights[0] < heights[1] == heights[2]


def test_no_errors_and_errors_without_tiles():
    assert worst_errors([], NAMES).min() < 100
    worst_errors([error(), error(missed=True)], NAMES)
