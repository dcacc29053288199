"""Variables of networks, drawn in NumPy, since XLA takes far longer to compile initialisers than a network."""

from typing import Any

import jax
import numpy as np


def drawn(shapes: Any, generator: np.random.Generator) -> Any:
    """Return a tree of arrays: kernels of He's scale, biases of either sign, batch-norm scales and variances near 1."""

    def draw(path: tuple, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if leaf.ndim > 1:
            values = generator.normal(0, (2 / np.prod(leaf.shape[:-1])) ** 0.5, leaf.shape)
        elif path[-1].key in ("scale", "var"):
            values = generator.uniform(0.5, 1.5, leaf.shape)
        else:
            values = generator.normal(0, 0.1, leaf.shape)
        return values.astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)
