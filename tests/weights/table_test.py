"""Which network a file is of."""

import numpy as np

from jaxvision.weights.rename import Rule
from jaxvision.weights.table import Table, has_layer

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


def test_what_names_do_not_tell_is_asked_of_the_arrays():
    deep = TABLE._replace(holds=lambda arrays: has_layer(arrays, "block_2"))
    assert deep.read({"first.bias": X, "block2.bias": X}) is not None
    assert deep.read({"first.bias": X, "block1.bias": X}) is None


def test_changes_on_the_way_in_and_out_are_inverse():
    moved = TABLE._replace(
        arrive=lambda arrays: {k: v + 1 for k, v in arrays.items()},
        leave=lambda arrays: {k: v - 1 for k, v in arrays.items()},
    )
    arrays = moved.read({"first.bias": X})
    assert arrays["params", "first", "bias"].tolist() == [1, 1]
    assert moved.write(arrays)["first.bias"].tolist() == [0, 0]
    assert moved.write({("params", "block_1", "bias"): X}) is None
