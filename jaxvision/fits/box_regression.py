"""Where in and around its window an object is: ridge regression for each class (Girshick et al. 2014, appendix C)."""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve

_LEAST_VARIANCE = 1e-3  # added to the targets' variances, as in the released code


@dataclasses.dataclass(frozen=True)
class Regression:
    """Numbers of the released code."""

    ridge: float = 1000.0  # weight of the squared coefficients
    min_iou: float = 0.6  # windows that overlap an object so much are learned from


Pairs: TypeAlias = tuple[Float[np.ndarray, "R F"], Float[np.ndarray, "R 4"]]
"""Features of windows, and the offsets (dx/w, dy/h, log w, log h) from each to its object."""


class Regressor(NamedTuple):
    """Offsets are features @ kernel + bias."""

    kernel: Float[np.ndarray, "F 4"]
    bias: Float[np.ndarray, " 4"]


class _Whitening(NamedTuple):
    """Offsets as targets of mean 0 that are uncorrelated and of variance 1: (offsets - mean) @ forward."""

    mean: Float[np.ndarray, " 4"]
    forward: Float[np.ndarray, "4 4"]
    back: Float[np.ndarray, "4 4"]


def fit(pairs: Iterable[Pairs], offsets: Float[np.ndarray, "N 4"], width: int, ridge: float) -> Regressor:
    """One class's regressor, from its pairs in parts and all their offsets together; `width` features a window.

    The ridge falls on whitened targets and on a last feature of 1 too. Without pairs a window is left where it is.
    Only sums over the pairs are held: memory grows with F² and not with their number.
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
    """Offsets from windows to boxes in float64; the NumPy twin of `ops.boxes.encode`, for any number of rows at once.

    Both have an area.
    """
    boxes, windows = boxes.astype(np.float64), windows.astype(np.float64)
    side, own = boxes[:, 2:] - boxes[:, :2], windows[:, 2:] - windows[:, :2]
    between = (boxes[:, :2] + boxes[:, 2:] - windows[:, :2] - windows[:, 2:]) / 2
    return np.concatenate([between / own, np.log(side / own)], axis=1)


def _whitening(offsets: Float[np.ndarray, "N 4"]) -> _Whitening:
    mean = offsets.mean(axis=0)
    centered = offsets - mean[None]
    variances, axes = np.linalg.eigh(centered.T @ centered / len(offsets))
    spread = np.sqrt(np.maximum(variances, 0.0) + _LEAST_VARIANCE)[:, None]
    return _Whitening(mean, axes @ (axes.T / spread), axes @ (axes.T * spread))
