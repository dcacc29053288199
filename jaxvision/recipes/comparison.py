"""A table and a figure of how well several encoders do, over some runs and for some shares of the labels."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from jaxvision.train.types import Result
from jaxvision.viz.bars import bars
from jaxvision.viz.table import table

RANDOM, SUPERVISED = "random", "supervised"
_WAY = "way: from the random encoder's mean (0) to that of the encoder that learned from all labels (1)."


def comparison(scores: Mapping[str, Float[np.ndarray, "R F"]], shares: Sequence[float], notes: Sequence[str]) -> Result:
    """Compare encoders by the accuracy of linear heads on their features.

    Args:
        scores: accuracies in R runs and for F shares of the labels, by encoder; RANDOM and SUPERVISED are among them.
        shares: the F shares of the labels, from 0 to 1.
        notes: paragraphs that follow the table.

    Returns:
        "comparison", a table with its notes; "comparison_figure", a picture; and "<encoder>/accuracy_<share>", the mean
        over the runs.
    """
    names = [name.replace("_", " ") for name in scores]
    titles = [f"{100 * share:g} % of labels" for share in shares]
    columns = ("encoder", *titles, *(f"way at {100 * share:g} %" for share in shares))
    cells = [[*map(_cell, runs.T), *(f"{part:.2f}" for part in way(scores, name))] for name, runs in scores.items()]
    text = "\n\n".join([table(columns, dict(zip(names, cells, strict=True))), *notes, _WAY])
    figure = bars(
        dict(zip(names, scores.values(), strict=True)), titles, title="Linear heads on frozen features", unit="accuracy"
    )
    means = {
        f"{name}/accuracy_{share:g}": float(mean)
        for name, runs in scores.items()
        for share, mean in zip(shares, runs.mean(axis=0), strict=True)
    }
    return {**means, "comparison": text, "comparison_figure": figure}


def way(scores: Mapping[str, Float[np.ndarray, "R F"]], name: str) -> Float[np.ndarray, " F"]:
    """Scale the mean accuracy of the encoder `name` so that the random encoder has 0 and the supervised one 1."""
    low, high = scores[RANDOM].mean(axis=0), scores[SUPERVISED].mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (scores[name].mean(axis=0) - low) / (high - low)


def _cell(runs: Float[np.ndarray, " R"]) -> str:
    return f"{runs.mean():.4f}" + (f" ± {runs.std(ddof=1):.4f}" if len(runs) > 1 else "")
