"""The comparison of an exported program's outputs with those of the network that it was made from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxvision.weights.rename import flat

# Of each output's largest value: other programs add numbers in another order, and round at other places.
TOLERANCE = {"float32": 1e-4, "tensorfloat32": 1e-2, "bfloat16": 0.05}
"""The largest difference of an output by the value of `--precision`, as a share of the output's largest value."""


def by_path(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested outputs by their paths, such as "unmoved/boxes"."""
    return {"/".join(path): value for path, value in flat(outputs).items()}


def require_equal(found: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float, flag: str) -> None:
    """Compare the outputs of a program with those of a network.

    Args:
        found: the program's outputs by name.
        expected: the network's outputs, with at least these names.
        tolerance: largest difference of an output, as a share of its largest value, or of 1 where that is smaller.
        flag: what was asked for, which the error names first.

    Raises:
        ValueError: an output differs by more than rounding; the text names it.
    """
    for name, value in found.items():
        right = np.asarray(expected[name], np.float64)
        difference = np.abs(np.asarray(value, np.float64) - right).max(initial=0)
        if not difference <= tolerance * np.abs(right).max(initial=1):
            raise ValueError(f"{flag}: {name} of the exported program differs by {difference:.3g}")
