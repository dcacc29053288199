"""The length of the generator's gradient by D(G(z)), from the metrics of GANs: whether a loss saturates."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxvision.viz.table import table

BELIEF, GRADIENT = "train/fake_probability", "train/gradient_generator"
UPPER = (0.001, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 1.0)  # upper ends of the bins of D(G(z)), which begin at 0
NAMES = (f"below {UPPER[0]:g}", *(f"to {upper:g}" for upper in UPPER[1:]))


def by_belief(rows: Sequence[Mapping[str, Any]]) -> Float[np.ndarray, "N"]:
    """Return the mean gradient of the generator in each bin of D(G(z)); NaN where it never was.

    Args:
        rows: rows of metrics.jsonl, of one training.
    """
    pairs = np.array([(row[BELIEF], row[GRADIENT]) for row in rows if BELIEF in row], np.float64).reshape(-1, 2)
    bins = np.searchsorted(UPPER, pairs[:, 0], side="right").clip(max=len(UPPER) - 1)
    sums, counts = (np.bincount(bins, weights, minlength=len(UPPER)) for weights in (pairs[:, 1], None))
    return np.where(counts > 0, sums / np.maximum(counts, 1), math.nan)


def gradient_table(gradients: Mapping[str, Float[np.ndarray, "R N"]]) -> str:
    """Return a table of the mean over R runs of each name; a dash where no run had such a D(G(z))."""
    cells = {name: [_mean(column) for column in runs.T] for name, runs in gradients.items()}
    return table(("generator's gradient where D(G(z)) is", *NAMES), cells)


def _mean(values: Float[np.ndarray, " R"]) -> str:
    known = values[np.isfinite(values)]
    return f"{known.mean():.3g}" if len(known) else "–"
