"""The end of a training that no longer gets better; off unless it is asked for."""

from collections.abc import Mapping, Sequence
from typing import Any


def stalled(rows: Sequence[Mapping[str, Any]], stage: str, metric: str, evaluations: int) -> bool:
    """Return whether the last `evaluations` values of a metric are all no better than one before them.

    It is read off what was written, so that a run that goes on after a stop decides as if it had never stopped.

    Args:
        rows: the rows of metrics.jsonl.
        stage: the stage that is trained.
        metric: the metric, of which higher values are better.
        evaluations: how many values have to be no better; 0: never.
    """
    values = [row[metric] for row in rows if row.get("stage") == stage and metric in row]
    if not evaluations or len(values) <= evaluations:
        return False
    return max(values[-evaluations:]) <= max(values[:-evaluations])
