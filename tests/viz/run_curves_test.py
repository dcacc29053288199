"""Curves of repeated runs, and their mean."""

import numpy as np

from jaxvision.viz.run_curves import Curves, _mean, over_places, run_curves

LINE = np.array([[0.0, 1.0], [10.0, 0.01], [20.0, np.nan]])


def test_panels_of_one_run_and_of_several():
    norms = Curves({"plain": [LINE], "residual": [LINE, LINE / 2]}, "layer", log=True, ticks={0: "conv1", 10: "fc"})
    picture = run_curves({"accuracy": Curves({"plain": [LINE]}), "gradient": norms})
    assert picture.dtype == np.uint8 and picture.shape == (400, 1280, 3)
    assert np.any(picture != run_curves({"accuracy": Curves({"plain": [LINE * 2]}), "gradient": norms}))
    assert run_curves({"nothing": Curves({"plain": [np.zeros((0, 2))]})}).shape == (400, 640, 3)


def test_a_mean_is_of_places_that_all_runs_have():
    other = np.array([[10.0, 0.03], [0.0, 3.0]])
    np.testing.assert_allclose(_mean([LINE[:2], other]), [[0.0, 2.0], [10.0, 0.02]])
    assert _mean([]).shape == (0, 2)


def test_values_at_places_that_have_names():
    curves = over_places({"a": np.array([[1.0, 2.0], [3.0, 4.0]])}, ("near", "far"), "distance", log=True)
    np.testing.assert_array_equal(curves.runs["a"][1], [[0.0, 3.0], [1.0, 4.0]])
    assert curves.ticks == {0: "near", 1: "far"} and curves.log and curves.x == "distance"
