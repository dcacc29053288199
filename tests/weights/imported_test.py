"""Imported layers in their place, wherever in the network that is."""

import numpy as np
import pytest

from jaxvision.weights.imported import Imported, merge

GREY = ((127.5,) * 3, (127.5,) * 3)


def layer(value: float, shape: tuple[int, ...] = (2, 3)) -> dict[str, np.ndarray]:
    return {"kernel": np.full(shape, value, np.float32)}


def imported(**layers) -> Imported:
    return Imported({"params": layers}, *GREY, "some.file")


def test_layers_go_to_the_part_that_has_them_and_the_rest_stays():
    variables = {"params": {"backbone": {"a": layer(0), "b": layer(1)}, "head": layer(2)}, "batch_stats": {}}
    merged = merge(variables, imported(a=layer(7), b=layer(8)))
    assert merged["params"]["backbone"]["a"]["kernel"].max() == 7 and merged["params"]["head"]["kernel"].max() == 2
    assert variables["params"]["backbone"]["a"]["kernel"].max() == 0
    top = merge({"params": {"a": layer(0), "other": layer(1)}}, imported(a=layer(7)))
    assert top["params"]["a"]["kernel"].max() == 7 and top["params"]["other"]["kernel"].max() == 1


def test_statistics_go_along():
    variables = {"params": {"net": {"a": layer(0)}}, "batch_stats": {"net": {"a": {"mean": np.zeros(3, np.float32)}}}}
    both = {"params": {"a": layer(1)}, "batch_stats": {"a": {"mean": np.full(3, 5, np.float32)}}}
    merged = merge(variables, Imported(both, *GREY, "some.file"))
    assert merged["batch_stats"]["net"]["a"]["mean"].max() == 5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"backbone": {"a": layer(0, (2, 4))}}, r"some.file: a: kernel is \(2, 3\) in the file and \(2, 4\)"),
        ({"backbone": {"a": {"scale": np.ones(3)}}}, "kernel is .* and absent in the network"),
        ({"backbone": {"c": layer(0)}}, "no part of the network has the layers a"),
        ({"one": {"a": layer(0)}, "two": {"a": layer(0)}}, "more than one part"),
    ],
)
def test_what_does_not_fit_is_named(params: dict, message: str):
    with pytest.raises(ValueError, match=message):
        merge({"params": params}, imported(a=layer(1)))
