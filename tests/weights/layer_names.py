"""Whether a table of names and a network of ours know the same layers."""

import re

import flax.linen as nn
import jax
import numpy as np

from jaxvision.weights.rename import flat
from jaxvision.weights.table import Table


def assert_same_layers(table: Table, model: nn.Module, size: int, train: bool = False) -> None:
    """Every layer of `model` has a rule, and every rule that is a whole name has its layer."""
    layers = _layers(model, size, train)
    patterns = [re.compile(re.sub(r"\\{\w+\\}", "[0-9a-z]+", re.escape(rule.ours))) for rule in table.rules]
    unknown = [layer for layer in layers if not any(pattern.fullmatch(layer) for pattern in patterns)]
    assert not unknown, f"without a rule: {unknown}"
    whole = {rule.ours for rule in table.rules if "{" not in rule.ours}
    assert whole <= layers, f"without a layer: {whole - layers}"


def _layers(model: nn.Module, size: int, train: bool) -> set[str]:
    def init(keys: dict[str, jax.Array], x: np.ndarray) -> dict:
        return model.init(keys, x, train=train)

    keys = {"params": jax.random.PRNGKey(0), "dropout": jax.random.PRNGKey(0)}
    shapes = jax.eval_shape(init, keys, np.zeros((1, size, size, 3), np.float32))
    return {"/".join(path[1:-1]) for path in flat(shapes)}
