"""What is done RoI after RoI is what is done for all RoIs at once."""

import jax.numpy as jnp
import numpy as np

from jaxvision.ops import roi
from jaxvision.ops.cpu import roi as cpu


def test_both_backward_forms_are_one_function():
    rng = np.random.default_rng(2)
    position, weight = (
        rng.integers(0, 6, (10, 3, 4)),
        rng.uniform(size=(10, 3, 4)) * (rng.uniform(size=(10, 3, 4)) < 0.7),
    )
    rows = roi.Taps(jnp.array(position * 8), jnp.array(weight, jnp.float32))
    columns = roi.Taps(jnp.array(position[::-1]), jnp.array(weight[::-1], jnp.float32))
    gradient = jnp.array(rng.normal(size=(10, 3, 3, 5)), jnp.float32)
    terms = (jnp.zeros((48, 5)), rows, columns, gradient)
    np.testing.assert_allclose(cpu.add_samples(*terms), roi.add_samples(*terms), atol=1e-5)
