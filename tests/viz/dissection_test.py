import json
import math

import numpy as np

from jaxvision.viz.dissection import (
    MARK,
    Concept,
    Effect,
    Report,
    Unit,
    as_json,
    before_after,
    detectors,
    page,
    resize,
    unit_picture,
)
from jaxvision.viz.grid import GAP
from tests.viz.tags import Tags


def report(units: int = 5) -> Report:
    picture = np.full((8, 8, 3), 9, np.uint8)
    effects = {
        name: Effect((0, 3), 0.2, area, 0.1) for name, area in (("alpha", 0.05), ("random 0", 0.2), ("random 1", 0.18))
    }
    concepts = tuple(Concept(name, ((0, 0.9), (3, 0.4)), ((3, 0.2),), effects, picture) for name in ("sky", "<tree>"))
    last = Unit(units - 1, "", 0.01, math.inf, 0.0, np.float32(0.0), 0.5, picture)
    return Report(
        "layer2", 30, (*(Unit(i, "<tree>", 0.5, 1.5, 0.3, 0.1, 2.0, picture) for i in range(units - 1)), last), concepts
    )


def test_a_page_is_whole_and_escapes_names():
    text = page(report(), most=3)
    tags = Tags(text)
    assert tags.seen.count("img") == 1 + 2 + 3 and tags.seen.count("h3") == 2 and tags.seen.count("figure") == 3
    assert (
        "<tree>" not in text and "&lt;tree&gt;" in text and "http" not in text and 'src="data:image/png;base64,' in text
    )
    assert "<td>25%</td><td>0.100</td><td>95% (90% to 100%)</td>" in text  # of random sets the mean and the range


def test_json_has_no_pictures_and_no_infinity():
    found = json.loads(as_json(report()))
    assert found["units"][-1] == {
        **{"number": 4, "concept": "", "iou": 0.01, "threshold": None, "information": 0.0},
        **{"quantile_iou": 0.0, "quantile_threshold": 0.5},
    }
    assert found["concepts"][0]["effects"]["random 1"]["area_after"] == 0.18 and "picture" not in found["concepts"][0]


def test_unit_picture_is_dim_where_the_unit_is_off():
    samples = np.full((3, 48, 48, 1), 200, np.uint8)
    maps = np.zeros((3, 4, 4), np.float32)
    maps[0, :, :2], maps[1] = 1, 1
    picture = unit_picture(samples, maps, 0.5)
    assert picture.shape == (96, 296, 3) and np.all(picture[:, 96:100] == 255)
    assert np.all(picture[:, 48:96] == 60) and np.all(picture[:, :46] == 200) and np.all(picture[:, 47] == MARK)
    assert np.all(picture[:, 100:196] == 200) and np.all(picture[:, 200:] == 60)
    assert np.all(samples == 200)


def test_before_after_marks_the_place_in_the_third_picture():
    images = [np.full((2, 32, 32, 3), shade, np.uint8) for shade in (50, 100, 150)]
    where = np.zeros((2, 4, 4), np.float32)
    where[:, 1, 2] = 1
    picture = before_after(*images, where, np.array([[0.1, 0.0, 0.25]] * 2))
    assert picture.shape[1] == 4 * GAP + 3 * 96
    assert np.all(picture[GAP : GAP + 96, GAP : GAP + 96] == 50)
    third = picture[GAP : GAP + 96, 3 * GAP + 192 : 3 * GAP + 288]
    marked = np.argwhere(np.all(third == MARK, axis=-1))
    np.testing.assert_array_equal([marked.min(0), marked.max(0)], [[24, 48], [47, 71]])
    assert len(marked) == 4 * 23


def test_detectors_is_a_picture():
    picture = detectors(report())
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.std() > 0


def test_resize_is_bilinear():
    values = np.array([[0.0, 1.0]])
    np.testing.assert_allclose(resize(values, (1, 4)), [[0, 0.25, 0.75, 1]])
    assert resize(np.ones((2, 2)), (5, 7)).shape == (5, 7)
