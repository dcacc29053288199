"""The cost of a step, checked by hand on a regression of three numbers."""

from jaxvision.recipes.step_costs import cost_of
from jaxvision.run.plan import plan_of
from jaxvision.train.types import Stage
from tests.train import toy


def test_a_step_is_counted_by_shapes():
    cost = cost_of(Stage("train", toy.regression(), toy.Numbers, 2))
    assert cost.parameters == 3
    assert cost.multiply_adds == 2 * 3  # of each row: forwards 3 and backwards 3, as inputs have no gradient
    batch, state = 8 * 4 * 4, 4 + 2 * 3 * 4 + 8
    assert batch + state < 1e6 * cost.peak_megabytes < batch + state + 500


def test_its_memory_is_that_of_a_plan():
    stage = Stage("train", toy.regression(), toy.Numbers, 2)
    assert 1e6 * cost_of(stage).peak_megabytes == plan_of(stage, 1).total
