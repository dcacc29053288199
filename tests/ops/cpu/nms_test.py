"""Suppression by blocks until the slots are full keeps what suppression in a fixed number of rounds keeps."""

import jax
import numpy as np
import pytest

from jaxvision.ops.dispatch import plain_forms
from jaxvision.ops.nms import nms
from tests.ops.nms_test import crowded


@pytest.mark.parametrize(("count", "slots"), [(300, 300), (1500, 30)])
def test_both_forms_are_one_function(count: int, slots: int):
    rng = np.random.default_rng(count + slots)
    boxes, scores = map(np.stack, zip(*(crowded(rng, count) for _ in range(3)), strict=True))
    classes, valid = rng.integers(0, 2, (3, count)), rng.uniform(size=(3, count)) < 0.8
    valid[2], scores[0, 5:9], boxes[1, 3:6, 2] = False, np.nan, np.inf
    boxes[0, 40:60] = boxes[0, 20:40]  # the same boxes twice

    def kept(b, s, v, c):
        return nms(b, s, iou_threshold=0.5, max_outputs=slots, valid=v, classes=c)

    found = jax.jit(kept)(boxes, scores, valid, classes)
    with plain_forms():
        plain = jax.jit(lambda *a: kept(*a))(boxes, scores, valid, classes)
    jax.tree.map(np.testing.assert_array_equal, found, plain)
    assert np.asarray(found[1])[:2].any(axis=1).all() and not np.asarray(found[1])[2].any()
