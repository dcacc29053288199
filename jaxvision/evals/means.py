"""Means over examples of the outputs of a task's `predict`."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from jaxvision.evals.classification import refuse_empty
from jaxvision.train.types import Metric, Result

Sums = tuple[Float[np.ndarray, "..."], ...]
"""The number of examples, then the sum of each output over them."""


def means(*names: str) -> Metric:
    """Measure {name: the mean of `outputs[name]` [B, …] over the examples}, accumulated in float64.

    The mean of an output [B] is a float; that of an output [B, …] is an array [...].

    Example:
        >>> metric = means("error")
        >>> metric.result(metric.update(metric.init(), {"error": np.array([1.0, 3.0])}, {"_mask": np.ones(2, bool)}))
        {'error': 2.0}
    """

    def update(state: Sums, outputs: Mapping, batch: Mapping) -> Sums:
        mask = np.asarray(batch["_mask"], bool)
        sums = (np.asarray(outputs[name])[mask].astype(np.float64).sum(axis=0) for name in names)
        return _add(state, (np.asarray(mask.sum(), np.float64), *map(np.asarray, sums)))

    def result(state: Sums) -> Result:
        count, *sums = state
        refuse_empty(names[0], float(count))
        return {
            name: total / count if total.ndim else float(total / count) for name, total in zip(names, sums, strict=True)
        }

    return Metric(lambda: (np.zeros(()),) * (1 + len(names)), update, result, _add)


def _add(a: Sums, b: Sums) -> Sums:
    return tuple(np.asarray(x + y) for x, y in zip(a, b, strict=True))
