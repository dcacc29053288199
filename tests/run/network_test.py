"""Imported weights come into the place of those that would be drawn."""

import numpy as np

from jaxvision.run.network import start_from
from jaxvision.train.types import TrainState
from jaxvision.weights.imported import Imported


def test_imported_weights_are_also_where_averages_begin():
    params = {"trunk": {"a": {"kernel": np.zeros((2, 3), np.float32)}}, "head": {"bias": np.zeros(3, np.float32)}}
    state = TrainState(0, params, {}, {}, {"average": params, "queue": np.zeros((4, 2))}, np.zeros(2, np.uint32))
    found = {"params": {"a": {"kernel": np.ones((2, 3), np.float32)}}}
    lines: list[str] = []
    begun = start_from(Imported(found, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "some.file"), lines.append, state)
    assert lines == [
        "some.file: 6 parameters taken, of 6 in the file and 9 in the network; 1 layer in trunk: a; new: head"
    ]
    assert begun.params["trunk"]["a"]["kernel"].min() == 1 == begun.aux["average"]["trunk"]["a"]["kernel"].min()
    assert begun.params["head"]["bias"].max() == 0 and begun.aux["queue"].shape == (4, 2)
