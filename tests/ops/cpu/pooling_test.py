"""The maximum over slices against lax's window reduction."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import pooling
from jaxvision.ops.cpu.pooling import max_pool


@pytest.mark.parametrize(("window", "stride", "pads"), [(2, 2, ((0, 0), (0, 0))), (3, 2, ((1, 2), (1, 0)))])
def test_slices_have_the_maximum_of_the_windows(window, stride, pads):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 10, 3)), jnp.float32)
    at = pooling.Windows(window, stride, pads, (9, 10))
    chex.assert_trees_all_equal(max_pool(x, at), pooling._reduce_window(x, at))
