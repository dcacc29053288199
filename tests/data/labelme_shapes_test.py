import numpy as np
import pytest

from jaxvision.data import labelme_shapes


def shape(kind: str | None, points, label="cat", **more) -> dict:
    return {"label": label, "points": points, "shape_type": kind, **more}


@pytest.mark.parametrize(
    ("item", "box"),
    [
        (shape("rectangle", [[8, 6], [2, 1]]), [2, 1, 8, 6]),
        (shape("rectangle", [[2, 1], [8, 1], [8, 6], [2, 6]]), [2, 1, 8, 6]),
        (shape("polygon", [[2, 1], [8, 1], [8, 6]]), [2, 1, 8, 6]),
        (shape(None, [[2, 1], [8, 1], [8, 6]]), [2, 1, 8, 6]),
        (shape("circle", [[5, 5], [5, 8]]), [2, 2, 8, 8]),
        (shape("rotation", [[2, 3], [4, 1], [6, 3], [4, 5]]), [2, 1, 6, 5]),
    ],
)
def test_closed_shapes(item, box):
    ((part,), faults) = labelme_shapes.read([item])
    (corners,) = part.outlines
    assert not faults and part.label == "cat" and corners.dtype == np.float32
    assert np.allclose([*corners.min(axis=0), *corners.max(axis=0)], box)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (shape("line", [[2, 1], [8, 1]]), "shape 1 (cat): a line encloses nothing; draw a rectangle"),
        (shape("linestrip", [[2, 1], [8, 1], [2, 2]]), "a linestrip encloses nothing"),
        (shape("point", [[2, 1]]), "a point encloses nothing"),
        (shape("polygon", [[2, 1], [8, 1]]), "a polygon of 2 points encloses nothing"),
        (shape("circle", [[2, 1]]), "a circle of 1 points, not 2"),
        (shape("rectangle", []), "a rectangle of 0 points, not 2"),
        (shape("mask", [[2, 1], [8, 6]]), "a painted mask is not read; let labelme save it as a polygon"),
        (shape("polygon", [[2, 1], [8, float("nan")], [1, 1]]), "its points are not pairs of finite numbers"),
        (shape("polygon", [[2, 1], [8], [1, 1]]), "its points are not pairs of finite numbers"),
        (shape("polygon", [1, 2, 3, 4, 5, 6]), "its points are not pairs of finite numbers"),
        (shape("polygon", None), "its points are not pairs of finite numbers"),
        (shape("polygon", [[2, 1], [8, 1], [8, 6]], ""), "shape 1: has no label"),
        (shape("polygon", [[2, 1], [8, 1], [8, 6]], "__ignore__"), "its label is no class"),
        ("polygon", "shape 1: has no label"),
    ],
)
def test_others_are_named(item, reason):
    parts, (fault,) = labelme_shapes.read([item])
    assert not parts and reason in fault


def test_a_group_is_one_object_of_each_label():
    square = [[1, 1], [3, 1], [3, 3]]
    items = [
        shape("polygon", square, group_id=1),
        shape("polygon", square, "dog", group_id=1),
        shape("polygon", square, group_id=None),
        shape("rectangle", [[7, 7], [9, 9]], group_id=1),
    ]
    parts, faults = labelme_shapes.read(items)
    assert not faults and [(p.label, p.number, len(p.outlines)) for p in parts] == [
        ("cat", 1, 2),
        ("dog", 2, 1),
        ("cat", 3, 1),
    ]
