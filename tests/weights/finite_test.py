"""Values that are no numbers are named with their layers."""

import numpy as np
import pytest

from jaxvision.weights.finite import unusable
from jaxvision.weights.imported import Imported


def imported(value: float) -> Imported:
    layers = {"conv1": {"kernel": np.ones((3, 3), np.float32)}, "fc": {"bias": np.full(4, 3e38, np.float32)}}
    layers["fc"]["bias"][2] = value
    return Imported({"params": layers, "batch_stats": {}}, None, None, "w.pth")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_layer_with_one_such_value_is_named(value: float):
    assert unusable(imported(value)).startswith("w.pth: NaN or infinity in fc/bias: ")


def test_large_numbers_are_numbers():
    assert unusable(imported(3e38)) == ""
