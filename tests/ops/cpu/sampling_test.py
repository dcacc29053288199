"""The draw by partial sorts and the draw by counting take the same boxes in the same order."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import sampling
from jaxvision.ops.cpu import sampling as cpu


@pytest.mark.parametrize("levels", [3, 40, 10**6])
def test_both_forms_are_one_function(levels: int):
    """With as many values of the priorities: with few, many tie at the border."""
    rng = np.random.default_rng(levels)
    priority = jnp.array(rng.integers(0, levels, (8, 2, 200)) / levels, jnp.float32)
    candidate = jnp.array(rng.uniform(size=(8, 200)) < rng.choice([0, 0.02, 0.3, 0.9, 1], (8, 1)))
    most = jnp.array(rng.integers(0, 33, 8), jnp.int32)
    for slots in (32, 256):
        forms = [jax.jit(jax.vmap(partial(form, slots=slots))) for form in (sampling.draw, cpu.draw)]
        (indices, drawn), (expected, wanted) = (form(priority, candidate, most) for form in forms)
        np.testing.assert_array_equal(drawn, wanted)
        np.testing.assert_array_equal(np.where(drawn, indices, 0), np.where(drawn, expected, 0))
