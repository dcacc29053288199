"""Groups of bars."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from jaxvision.viz.bars import _limits, bars


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("groups", [1, 9])
def test_a_picture_of_all_groups(runs: int, groups: int):
    rng = np.random.default_rng(0)
    values = {f"method {i}": rng.uniform(0.5, 0.9, (runs, 2)) for i in range(groups)}
    picture = bars(values, ("1 %", "10 %"), title="probe", unit="accuracy")
    assert picture.dtype == np.uint8 and picture.shape[0] == 480 and picture.shape[1] >= 640
    other = {**values, "method 0": values["method 0"] / 2}
    assert picture.shape == (changed := bars(other, ("1 %", "10 %"), title="probe", unit="accuracy")).shape
    assert np.any(picture != changed)


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([0.8, 0.9], 0.79, 0.9166667),
        ([0.1, 0.9], 0.0, 1.0333333),
        ([0.5, 0.5], 0.4999, 0.5001667),
        ([-1.0, 1.0], -1, 1.3333),
    ],
)
def test_the_axis_starts_at_0_unless_all_is_far_from_it(values, low, high):
    np.testing.assert_allclose(_limits(np.array(values)), (low, high), rtol=1e-4)


def test_an_axis_that_does_not_start_at_0_says_so(monkeypatch: pytest.MonkeyPatch):
    labels: list[str] = []
    monkeypatch.setattr(Axes, "set_ylabel", lambda self, label, **settings: labels.append(label))
    for values in ([[0.8], [0.9]], [[0.1], [0.9]]):
        bars({"a": np.array(values)}, ("x",), title="", unit="accuracy")
    assert labels == ["accuracy (the axis starts at 0.79, not at 0)", "accuracy"]


def test_what_is_not_known_has_no_bar():
    values = {"a": np.array([[0.8]]), "b": np.array([[np.nan]])}
    assert bars(values, ("x",), title="", unit="accuracy").dtype == np.uint8
    assert bars({"b": values["b"]}, ("x",), title="", unit="accuracy").dtype == np.uint8


def test_a_group_of_another_size_is_named():
    with pytest.raises(ValueError, match="'b' has 1 series, not 2"):
        bars({"a": np.zeros((1, 2)), "b": np.zeros((1, 1))}, ("x", "y"), title="", unit="")
