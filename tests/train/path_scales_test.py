"""Factors by the paths of parameters, as flags give them."""

import numpy as np
import pytest

from jaxvision.train import path_scales
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import only

PARAMS = {"head": {"kernel": np.ones((2, 2)), "bias": np.ones(2)}}


def test_a_pattern_may_hold_an_equals_sign_and_factors_of_all_that_match_multiply():
    scales = path_scales.parse("flag", ("bias$=2", "head/=10", "a=b=0"))
    assert scales == (("bias$", 2.0), ("head/", 10.0), ("a=b", 0.0))
    paths = ("trunk/kernel", "trunk/bias", "head/kernel", "head/bias")
    assert [path_scales.factor_of(path, scales) for path in paths] == [1.0, 2.0, 10.0, 20.0]


@pytest.mark.parametrize("norms", [False, True])
def test_each_parameter_decays_by_its_factor(norms: bool):
    tx = path_scales.decay_weights(0.5, (("kernel", 3.0), ("bias", 4.0)), norms)
    updates, _ = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    assert float(updates["head"]["kernel"][0, 0]) == 2.5 and float(updates["head"]["bias"][0]) == (3.0 if norms else 1)


def test_updates_are_multiplied():
    tx = path_scales.scale_updates((("bias", 2.0),))
    updates, _ = tx.update(PARAMS, tx.init(PARAMS), PARAMS)
    assert float(updates["head"]["kernel"][0, 0]) == 1.0 and float(updates["head"]["bias"][0]) == 2.0


def test_a_pattern_without_a_parameter_is_refused():
    path_scales.require_matches("flag", ("bias", "^head/"), PARAMS)
    with pytest.raises(ValueError, match="flag: no parameter has 'tail' in its path, such as head/bias"):
        path_scales.require_matches("flag", ("bias", "tail"), PARAMS)


def test_a_pattern_may_belong_to_a_part_that_a_stage_does_not_train():
    """Faster R-CNN's third step trains the RPN alone, and its flags freeze layers of the backbone."""
    tx = Optimizer(freeze=("backbone/conv1",), lr_scale=("bias$=2",)).make(10)
    params = {"backbone": {"conv1": np.ones(2)}, "rpn": {"bias": np.ones(2)}}
    only(tx, lambda path: path.startswith("rpn/")).init(params)
    with pytest.raises(ValueError, match="no parameter has 'backbone/conv1' in its path, such as rpn/bias"):
        tx.init({"rpn": params["rpn"]})
