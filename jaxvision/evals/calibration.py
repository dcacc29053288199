"""Calibration of a classifier: its probabilities beside the share of images that it names rightly."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8

from jaxvision.evals.classification import real_rows, refuse_empty
from jaxvision.train.types import Metric, Result
from jaxvision.viz.key import with_key
from jaxvision.viz.lines import Line, unit_square
from jaxvision.viz.text import FAINT

BINS = 15


def calibration() -> Metric:
    """Measure the expected calibration error (Guo et al. 2017, section 2): {"ece"}, and draw it: {"calibration"}.

    Images are sorted into bins of equal width by the probability of the class that is predicted; the error is the mean
    distance of that probability from the share that is right, weighted by the images in the bins.

    Example:
        >>> metric = calibration()
        >>> outputs = {"probabilities": np.array([[0.75, 0.25], [0.75, 0.25]])}
        >>> batch = {"label": np.array([0, 1]), "_mask": np.ones(2, bool)}
        >>> metric.result(metric.update(metric.init(), outputs, batch))["ece"]
        0.25
    """

    def update(state: Float[np.ndarray, "3 BINS"], outputs: Mapping, batch: Mapping) -> Float[np.ndarray, "3 BINS"]:
        scores, labels = real_rows(outputs, batch)
        if "probabilities" not in outputs:
            scores = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
        sure = np.nan_to_num(scores.max(axis=1, initial=0.0))
        right = scores.argmax(axis=1) == labels
        bins = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
        sums = [np.bincount(bins, weights, BINS) for weights in (np.ones(len(bins)), sure, right.astype(np.float64))]
        return state + np.stack(sums)

    def result(state: Float[np.ndarray, "3 BINS"]) -> Result:
        count, sure, right = state
        refuse_empty("calibration", float(count.sum()))
        error = float(np.abs(sure - right).sum() / count.sum())
        return {"ece": error, "calibration": _draw(state, error)}

    return Metric(lambda: np.zeros((3, BINS)), update, result)


def _draw(state: Float[np.ndarray, "3 BINS"], error: float) -> UInt8[np.ndarray, "H W 3"]:
    """Draw the share that is right over the probability, and how many images each bin has."""
    count, sure, right = state
    full = count > 0
    edges = np.linspace(0, 1, BINS + 1)
    heights = 0.25 * count / count.max()  # the lower quarter
    steps = Line(edges.repeat(2), np.r_[0, heights.repeat(2), 0], FAINT, 1)
    curve = Line(sure[full] / count[full], right[full] / count[full], (29, 120, 216), 3)
    title = f"Calibration error {error:.3f}"
    picture = unit_square([steps, curve], title, "probability of the predicted class", "share right", diagonal=True)
    return with_key(picture, [(curve.color, "share that is right"), (FAINT, "number of images")])
