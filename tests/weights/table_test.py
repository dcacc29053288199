"""Which network a file is of."""

import numpy as np

from jaxvision.weights.rename import Rule
from jaxvision.weights.table import Table

X = np.zeros(2, np.float32)
TABLE = Table(
    "net",
    (Rule("first", "first"), Rule("block{i}", "block_{i}"), Rule("side", "side"), Rule("last", "last")),
    head=("last",),
    optional=("side",),
)


def test_a_table_takes_its_own_network_only():
    whole = {"first.bias": X, "block1.bias": X, "block2.bias": X, "side.bias": X, "last.bias": X}
    assert len(TABLE.read(whole)) == 5
    assert TABLE.read({k: v for k, v in whole.items() if not k.startswith(("side", "last"))}) is not None
    assert TABLE.read({k: v for k, v in whole.items() if not k.startswith("first")}) is None
    assert TABLE.read({**whole, "more.bias": X}) is None
