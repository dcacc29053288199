"""Every example counts once."""

import numpy as np
import pytest

from jaxvision.evals.means import means


def test_means_leave_padding_out_and_add_up_over_processes():
    metric = means("l2", "psnr")
    outputs = {"l2": np.array([1.0, 2.0, 99.0]), "psnr": np.array([10.0, 30.0, np.nan])}
    batch = {"_mask": np.array([True, True, False])}
    one = metric.update(metric.init(), outputs, batch)
    assert metric.result(one) == {"l2": 1.5, "psnr": 20.0}
    other = metric.update(metric.init(), {k: v[:1] for k, v in outputs.items()}, {"_mask": np.array([True])})
    assert metric.result(metric.merge(one, other))["l2"] == pytest.approx(4 / 3)
    with pytest.raises(ValueError, match="l2: the evaluation data has no examples"):
        metric.result(metric.init())


def test_arrays_have_means_of_their_elements():
    metric = means("a", "b")
    outputs = [{"a": np.arange(6.0).reshape(3, 2) + i, "b": np.array([1.0, 2.0, 50.0])} for i in range(2)]
    masks = [np.array([True, True, False]), np.array([True, False, False])]
    states = [metric.update(metric.init(), o, {"_mask": m}) for o, m in zip(outputs, masks, strict=True)]
    found = metric.result(metric.merge(states[0], metric.merge(metric.init(), states[1])))
    np.testing.assert_allclose(found["a"], np.mean([[0, 1], [2, 3], [1, 2]], axis=0))
    assert found["b"] == pytest.approx(4 / 3)
