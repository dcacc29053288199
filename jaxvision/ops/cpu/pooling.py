"""Max pooling as a maximum of strided slices, one for each place of the window, which XLA fuses into one loop."""

from functools import reduce

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.ops.pooling import Windows


def max_pool(x: Float[Array, "B H W C"], at: Windows) -> Float[Array, "B h w C"]:
    """Return the maximum over each of the windows."""
    return reduce(jnp.maximum, at.views(x))
