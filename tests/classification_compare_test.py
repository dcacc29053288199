"""The classifiers' comparisons: networks of a group differ in what the group is about, and all else is alike."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from experiments.classification import compare
from jaxvision.data.inputs import Inputs

SMOKE = compare.PRESETS["smoke"]


def network(group: str, name: str, width: float = 0.25) -> Any:
    return compare.GROUPS[group].networks[name](num_classes=10, width=width)


def parameters(group: str, name: str) -> int:
    size = compare.GROUPS[group].image_size
    image = jax.ShapeDtypeStruct((2, size, size, 3), np.float32)
    variables = jax.eval_shape(lambda k, x: network(group, name).init(k, x, train=False), jax.random.PRNGKey(0), image)
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def test_every_group_can_be_asked_for_and_tells_of_its_own_networks():
    (field,) = (field for field in dataclasses.fields(compare.Config) if field.name == "group")
    assert set(compare.GROUPS) == set(field.type.__args__)
    for group in compare.GROUPS.values():
        assert {name for pair in group.pairs for name in pair} <= set(group.networks)


def test_ideas_cost_what_the_papers_say():
    assert parameters("depth", "plain-8") == parameters("depth", "residual-8")
    small, large = (network("filters", name).init for name in ("three-3x3", "one-7x7"))
    image = np.zeros((2, 32, 32, 3), np.float32)
    counts = [
        sum(leaf.size for path, leaf in jax.tree_util.tree_leaves_with_path(params) if "conv3" in str(path))
        for params in (jax.eval_shape(lambda k, x, f=f: f(k, x, train=False), jax.random.PRNGKey(0), image)["params"]
                       for f in (small, large))
    ]  # fmt: skip
    first = 9 * 32 * 64 + 64
    assert counts == [first + 27 * 64**2 + 3 * 64, first + 49 * 64**2 + 64]


@pytest.mark.long
@pytest.mark.parametrize("group", compare.GROUPS)
def test_networks_fit_the_images_of_their_group(group: str):
    assert all(parameters(group, name) > 0 for name in compare.GROUPS[group].networks)


def test_networks_of_a_group_have_the_same_budget_and_what_is_measured():
    config = dataclasses.replace(SMOKE, group="batch_norm", seeds=2)
    built = compare.build(config, Inputs())
    assert [s.name for s in built.stages] == [
        *("normalised-0-train", "normalised-1-train", "not-normalised-0-train", "not-normalised-1-train", "comparison")
    ]
    assert {stage.steps for stage in built.stages[:-1]} == {2}
    assert [hook.name for hook in built.stages[0].hooks] == ["val", "fit", "gradients", "gradients_at_0"]


def test_errors_are_what_is_not_right():
    metric, outputs = compare.errors(), {"probabilities": np.eye(4)}
    batch = {"label": np.array([0, 1, 2, 0]), "_mask": np.array([True, True, True, True])}
    assert metric.result(metric.update(metric.init(), outputs, batch)) == {"error": 0.25}
