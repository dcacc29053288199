"""What is done RoI after RoI is what is done for all RoIs at once."""

import jax.numpy as jnp
import numpy as np

from jaxvision.ops import roi_pooling
from jaxvision.ops.cpu import roi_pooling as cpu


def test_roi_pool_s_backward_forms_are_one_function():
    rng = np.random.default_rng(7)
    cell, gradient = rng.integers(-1, 12, (12, 2, 2, 3)), rng.normal(size=(12, 2, 2, 3))
    terms, empty = (jnp.array(cell), jnp.array(gradient, jnp.float32)), jnp.zeros(36)
    expected = np.zeros((12, 3))
    for at in np.argwhere(cell >= 0):
        expected[cell[tuple(at)], at[-1]] += gradient[tuple(at)]
    np.testing.assert_allclose(roi_pooling.add_at(empty, *terms).reshape(12, 3), expected, atol=1e-5)
    np.testing.assert_allclose(cpu.add_at(empty, *terms).reshape(12, 3), expected, atol=1e-5)


def test_both_argmax_searches_are_one_function():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(7, 9, 3)).astype(np.float32)
    begin, extent = rng.integers(0, 5, (4, 6, 2)), rng.integers(0, 4, (4, 6, 2))
    bins = roi_pooling.Bins(
        jnp.zeros(6, int), *map(jnp.array, (begin[0], begin[0] + extent[0], begin[1], begin[1] + extent[1]))
    )
    table = jnp.array(features).reshape(-1, 3)

    np.testing.assert_array_equal(cpu.argmax_cells(table, bins, 9), roi_pooling.argmax_cells(table, bins, 9))
