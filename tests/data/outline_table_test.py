"""Outlines in flat arrays come back as they were."""

import numpy as np

from jaxvision.data.outline_table import OutlineTableBuilder
from jaxvision.data.outlines import Polygons, Runs

TRIANGLE = np.array([[0, 0], [4, 0], [4, 4]], np.float32)


def test_every_kind_comes_back_in_the_order_that_is_asked_for():
    builder = OutlineTableBuilder()
    outlines = [
        None,
        Polygons((TRIANGLE, TRIANGLE + np.float32(5))),
        Runs(np.array([3, 4, 193]), 20, 10),
        Runs("PPYo1", 20, 10),
        Polygons((TRIANGLE,)),
    ]
    for outline in outlines:
        builder.add(outline)
    order = np.array([4, 3, 2, 1, 0])
    table = builder.build(order)
    assert table is not None and len(table) == 5 and table.lacking() == 1
    assert table[4] is None
    first, second = table[0], table[3]
    assert isinstance(first, Polygons) and [part.tolist() for part in first.parts] == [TRIANGLE.tolist()]
    assert isinstance(second, Polygons) and len(second.parts) == 2 and second.parts[1][0].tolist() == [5, 5]
    text, counts = table[1], table[2]
    assert isinstance(text, Runs) and text.counts == "PPYo1" and (text.width, text.height) == (20, 10)
    assert isinstance(counts, Runs) and np.asarray(counts.counts).tolist() == [3, 4, 193]


def test_a_set_without_outlines_has_no_table():
    builder = OutlineTableBuilder()
    builder.add(None)
    assert builder.build(np.arange(1)) is None
