"""Box regression: ridge regression from a window's features to the object's box (Girshick et al. 2014, appendix C)."""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve

_LEAST_VARIANCE = 1e-3  # added to the variances of the targets, as in the released code


@dataclasses.dataclass(frozen=True)
class RegressionConfig:
    """Flags of box regression; the defaults are those of the released code."""

    ridge: float = 1000.0  # weight of the squared coefficients
    min_iou: float = 0.6  # least IoU with an object of the windows that regressors are fitted to


Pairs: TypeAlias = tuple[Float[np.ndarray, "R F"], Float[np.ndarray, "R 4"]]
"""Features of windows, and the offsets (dx/w, dy/h, log w, log h) from each to its object."""


class Regressor(NamedTuple):
    """The regressor of one class; offsets are features @ kernel + bias."""

    kernel: Float[np.ndarray, "F 4"]
    bias: Float[np.ndarray, " 4"]


class _Whitening(NamedTuple):
    """A linear map of offsets to targets that have mean 0 and variance 1 and are uncorrelated."""

    mean: Float[np.ndarray, " 4"]  # mean of the offsets
    forward: Float[np.ndarray, "4 4"]  # targets are (offsets - mean) @ forward
    back: Float[np.ndarray, "4 4"]  # the inverse of `forward`


def fit(pairs: Iterable[Pairs], offsets: Float[np.ndarray, "N 4"], width: int, ridge: float) -> Regressor:
    """Fit the regressor of one class.

    Targets are whitened, and the ridge penalises the bias too, as in the released code. Memory grows with F² and not
    with the number of pairs, of which only sums are kept.

    Args:
        pairs: features and offsets of the class's windows, in parts.
        offsets: the offsets of all parts together.
        width: F, the number of features of a window.
        ridge: weight of the squared coefficients.

    Returns:
        The regressor; without pairs all its offsets are 0.
    """
    if not len(offsets):
        return Regressor(np.zeros((width, 4)), np.zeros(4))
    white = _whitening(offsets.astype(np.float64))
    gram, moments = np.zeros((width + 1, width + 1)), np.zeros((width + 1, 4))
    for features, part in pairs:
        x = np.concatenate([features.astype(np.float64), np.ones((len(features), 1))], axis=1)
        gram += x.T @ x
        moments += x.T @ ((part.astype(np.float64) - white.mean[None]) @ white.forward)
    gram[np.diag_indices(width + 1)] += ridge
    coefficients = cho_solve(cho_factor(gram, lower=True), moments) @ white.back
    return Regressor(coefficients[:-1], coefficients[-1] + white.mean)


def encode(boxes: Float[np.ndarray, "N 4"], windows: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 4"]:
    """Return the offsets from windows to boxes in float64: `ops.boxes.encode` in NumPy. Both must have an area."""
    boxes, windows = boxes.astype(np.float64), windows.astype(np.float64)
    box_sides, window_sides = boxes[:, 2:] - boxes[:, :2], windows[:, 2:] - windows[:, :2]
    between = (boxes[:, :2] + boxes[:, 2:] - windows[:, :2] - windows[:, 2:]) / 2
    return np.concatenate([between / window_sides, np.log(box_sides / window_sides)], axis=1)


def _whitening(offsets: Float[np.ndarray, "N 4"]) -> _Whitening:
    mean = offsets.mean(axis=0)
    centered = offsets - mean[None]
    variances, axes = np.linalg.eigh(centered.T @ centered / len(offsets))
    spread = np.sqrt(np.maximum(variances, 0.0) + _LEAST_VARIANCE)[:, None]
    return _Whitening(mean, axes @ (axes.T / spread), axes @ (axes.T * spread))
