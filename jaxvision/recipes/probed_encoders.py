"""The way of an encoder: how far its accuracy is between a random encoder's and that of one that has all labels."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from jaxvision.recipes.comparison_table import Runs

RANDOM, SUPERVISED = "random", "supervised"
WAY = "way: from the random encoder's mean (0) to that of the encoder that learned from all labels (1)."


def ways(shares: Sequence[float], runs: Runs) -> dict[str, list[str]]:
    """Return the cells of a table that say how far each encoder is on the way.

    Args:
        shares: the shares of the labels, from 0 to 1.
        runs: what was written of each encoder.

    Returns:
        For each share a heading and a cell for each encoder; {} where one of the way's two ends was not trained.
    """
    if RANDOM not in runs or SUPERVISED not in runs:
        return {}
    scores = {
        name: np.array([[ran.value(accuracy(share)) for share in shares] for ran in of]) for name, of in runs.items()
    }
    return {
        f"way at {100 * share:g} %": [f"{way(scores, name)[n]:.2f}" for name in scores]
        for n, share in enumerate(shares)
    }


def accuracy(share: float) -> str:
    """Return the metric that a probe writes for a share of the labels."""
    return f"probe/accuracy_{share:g}"


def way(scores: Mapping[str, Float[np.ndarray, "R F"]], name: str) -> Float[np.ndarray, " F"]:
    """Scale the mean accuracy of the encoder `name` so that the random encoder has 0 and the supervised one 1."""
    low, high = scores[RANDOM].mean(axis=0), scores[SUPERVISED].mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (scores[name].mean(axis=0) - low) / (high - low)
