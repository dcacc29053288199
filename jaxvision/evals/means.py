"""Means over examples of figures that a task's `predict` gives for each."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from jaxvision.evals.classification import refuse_empty
from jaxvision.train.types import Metric, Result


def means(*names: str) -> Metric:
    """{name: the mean of `outputs[name]` [B] over the examples}, accumulated in float64.

    Example:
        >>> metric = means("error")
        >>> metric.result(metric.update(metric.init(), {"error": np.array([1.0, 3.0])}, {"_mask": np.ones(2, bool)}))
        {'error': 2.0}
    """

    def update(state: Float[np.ndarray, " n"], outputs: Mapping, batch: Mapping) -> Float[np.ndarray, " n"]:
        mask = np.asarray(batch["_mask"])
        totals = [np.asarray(outputs[name])[mask].astype(np.float64).sum() for name in names]
        return state + np.array([mask.sum(), *totals])

    def result(state: Float[np.ndarray, " n"]) -> Result:
        count, *totals = state.tolist()
        refuse_empty(names[0], count)
        return {name: total / count for name, total in zip(names, totals, strict=True)}

    return Metric(lambda: np.zeros(1 + len(names)), update, result)
