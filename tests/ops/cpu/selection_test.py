"""The form for CPUs is the definition that `tests/ops/selection_test.py` holds the other form against."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.ops.cpu import selection


def test_the_largest_first():
    values, indices = selection.top_k(jnp.array([[1.0, 5, 3, 5]]), 3)
    np.testing.assert_array_equal(values, [[5, 5, 3]])
    np.testing.assert_array_equal(indices, [[1, 3, 2]])
    assert jax.eval_shape(lambda v: selection.top_k(v, 2), values)[0].shape == (1, 2)
