"""The seconds are those until the result is there."""

import time

import jax.numpy as jnp
import numpy as np

from jaxvision.train.timing import seconds


def test_it_waits_for_the_result_and_hands_it_on():
    def slow(x, y):
        time.sleep(0.02)
        return {"sum": jnp.asarray(x) + y}

    took, result = seconds(slow, np.ones(3), 2.0)
    assert took >= 0.02
    np.testing.assert_array_equal(result["sum"], [3, 3, 3])
