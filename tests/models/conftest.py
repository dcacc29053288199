"""Variables without running an initialiser, whose random draws take far longer to compile than a network."""

from collections.abc import Callable

import flax.linen as nn
import jax
import numpy as np
import pytest


@pytest.fixture
def filled() -> Callable[[nn.Module, jax.Array], dict]:
    """`filled(model, x)`: kernels of He's scale, biases of either sign, batch-norm scales and variances near 1."""
    generator = np.random.default_rng(0)

    def draw(path: tuple, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if leaf.ndim > 1:
            values = generator.normal(0, (2 / np.prod(leaf.shape[:-1])) ** 0.5, leaf.shape)
        elif path[-1].key in ("scale", "var"):
            values = generator.uniform(0.5, 1.5, leaf.shape)
        else:
            values = generator.normal(0, 0.1, leaf.shape)
        return values.astype(leaf.dtype)

    def fill(model: nn.Module, x: jax.Array) -> dict:
        shapes = jax.eval_shape(lambda key: model.init(key, x, train=False), jax.random.PRNGKey(0))
        return jax.tree_util.tree_map_with_path(draw, shapes)

    return fill
