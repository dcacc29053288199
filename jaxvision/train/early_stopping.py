"""The end of a training that no longer gets better; off unless it is asked for."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def stalled(rows: Sequence[Mapping[str, Any]], stage: str, metric: str, evaluations: int) -> bool:
    """Return whether the last `evaluations` values of a metric are all no better than one before them.

    It is read off what was written, so that a run that goes on after a stop decides as if it had never stopped. A value
    that is not a number is no better than any other, and any number is better than it.

    Args:
        rows: the rows of metrics.jsonl.
        stage: the stage that is trained.
        metric: the metric, of which higher values are better.
        evaluations: how many values have to be no better; 0: never.
    """
    written = [row[metric] for row in rows if row.get("stage") == stage and metric in row]
    values = [-math.inf if math.isnan(value) else value for value in written]
    if not evaluations or len(values) <= evaluations:
        return False
    return max(values[-evaluations:]) <= max(values[:-evaluations])
