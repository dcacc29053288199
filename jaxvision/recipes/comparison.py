"""How well several encoders do, each over some runs and for some shares of the labels, as a table and a figure."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from jaxvision.train.types import Result
from jaxvision.viz.bars import bars
from jaxvision.viz.table import table

RANDOM, SUPERVISED = "random", "supervised"
_WAY = "way: from the random encoder's mean (0) to that of the encoder that learned from all labels (1)."


def told(scores: Mapping[str, Float[np.ndarray, "R F"]], shares: Sequence[float], notes: Sequence[str]) -> Result:
    """ "comparison", a table over `notes`, "comparison_figure", and the mean of each cell as a metric."""
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
    """How far the mean accuracy is on the way from the random encoder's to the supervised one's."""
    low, high = scores[RANDOM].mean(axis=0), scores[SUPERVISED].mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (scores[name].mean(axis=0) - low) / (high - low)


def _cell(runs: Float[np.ndarray, " R"]) -> str:
    return f"{runs.mean():.4f}" + (f" ± {runs.std(ddof=1):.4f}" if len(runs) > 1 else "")
