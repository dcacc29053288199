"""Bars of classes."""

import numpy as np
import pytest

from jaxvision.viz.class_bars import ClassBar, class_bars

RED = (220, 20, 20)


def red(picture: np.ndarray) -> np.ndarray:
    return np.all(picture == RED, axis=-1)


def test_a_bar_is_as_long_as_its_value():
    picture = class_bars([ClassBar("cat", RED, 0.5), ClassBar("dog", RED, float("nan"))], "AP")
    lengths = red(picture).sum(axis=1)
    assert lengths.max() == 150 and len(np.flatnonzero(lengths)) < 24


def test_of_many_classes_the_best_and_the_worst_are_drawn():
    few = class_bars([ClassBar(str(i), RED, i / 100) for i in range(60)], "IoU")
    many = class_bars([ClassBar(str(i), RED, i / 200) for i in range(200)], "IoU")
    assert many.shape == (few.shape[0] + 20, *few.shape[1:])
    lengths = [int(n) for n in red(many).sum(axis=1) if n]
    assert max(lengths) == round(199 / 200 * 300)


def test_a_row_with_other_columns_is_refused():
    assert class_bars([ClassBar("cat", RED, 1.0, ("3", "0.5"))], "AP", ("objects", "score")).shape[1] > 700
    with pytest.raises(ValueError, match="'cat' has 1 figures for 2 columns"):
        class_bars([ClassBar("cat", RED, 1.0, ("3",))], "AP", ("objects", "score"))
