"""Panels of bars."""

import numpy as np
import pytest

from jaxvision.viz import panels as module
from jaxvision.viz.panels import Panel, panels

NAMES = ("one", "another", "a third")
UNKNOWN = np.full(3, np.nan)


def stacked(**series: list[float]) -> Panel:
    return Panel("time", "seconds", {name: np.array(values, np.float64) for name, values in series.items()})


@pytest.mark.parametrize("columns", [1, 5])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_picture_of_all_panels(rows: int, columns: int):
    def drawn(value: float) -> np.ndarray:
        panel = stacked(a=[value, 1, 2], b=[0, np.nan, 1])
        return panels(NAMES, {f"row {i}": [panel] * columns for i in range(rows)})

    picture = drawn(1)
    assert picture.dtype == np.uint8 and picture.ndim == 3
    assert picture.shape == drawn(3).shape and np.any(picture != drawn(3))
    assert picture.shape[1] > 250 * columns and picture.shape[0] > 200 * rows


@pytest.mark.parametrize("values", [UNKNOWN, np.zeros(3), np.array([np.nan, 0.0, 1e9])])
@pytest.mark.parametrize("together", [True, False])
def test_what_is_not_known_is_no_bar(values: np.ndarray, together: bool):
    panel = Panel("time", "hours", {"paper": values, "slides": UNKNOWN}, together)
    assert panels(NAMES, {"printed": (panel,), "short": ()}).dtype == np.uint8


def test_parts_add_up_and_unknown_ones_are_left_out():
    parts = np.array([[1.0, np.nan, np.nan], [2.0, 3.0, np.nan]])
    np.testing.assert_array_equal(module._sums(parts), [[3.0, 3.0, np.nan]])


def test_a_series_has_one_colour_and_alone_none():
    several, alone = stacked(a=[1, 2, 3], b=[1, 2, 3]), stacked(c=[1, 2, 3])
    again = stacked(b=[1, 2, 3], d=[1, 2, 3])
    assert list(module._colors([alone, several, again])) == ["a", "b", "d"]


def test_a_series_of_another_length_is_named():
    with pytest.raises(ValueError, match="panels: 'a' of 'time' has 2 values, not 3"):
        panels(NAMES, {"row": (stacked(a=[1, 2]),)})
