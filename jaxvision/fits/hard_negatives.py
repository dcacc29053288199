"""A linear SVM for each class, fitted to positives and to hard negatives (Girshick et al. 2014, section 2.3).

Of millions of windows nearly all are background. An SVM is fitted to few of these negatives: to those whose score is
too high, which a pass over the images collects. `C` is the number of classes without the background; the column c - 1
belongs to the label c.
"""

import dataclasses
import warnings
from collections.abc import Iterable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

_NEVER = -1e3  # score of each window for a class without positives
_ITERATIONS = 20_000  # most iterations of liblinear in a fit


@dataclasses.dataclass(frozen=True)
class MiningConfig:
    """Flags of the SVMs and of hard negative mining; the defaults are those of the released code."""

    c: float = 0.001  # C: weight of the hinge loss against the squared length of the kernel
    positive_weight: float = 2.0  # weight of a positive's hinge loss; a negative's is 1
    bias_scale: float = 10.0  # value of the constant feature whose weight is the bias; a large one regularises it less
    norm: float = 20.0  # mean Euclidean length that features are scaled to
    negative_iou: float = 0.3  # windows with a lower IoU with each object of a class are its negatives
    passes: int = 1  # passes over the training images
    add_above: float = -1.0001  # negatives with a higher score are added to the training set
    drop_below: float = -1.2  # negatives with a lower score after a fit are removed from the training set
    fit_after: int = 2000  # number of new negatives of a class after which its SVM is fitted again


class WindowFeatures(NamedTuple):
    """Features of the R windows of one image."""

    features: Float[np.ndarray, "R F"]
    negative: Bool[np.ndarray, "R C"]  # whether a window is a negative of a class


@runtime_checkable
class SplitFeatures(Protocol):
    """Random access to the features of each image."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> WindowFeatures: ...


class Round(NamedTuple):
    """One fit of the SVM of one class."""

    label: int  # the class, from 1
    images: int  # images that were mined before the fit, those of earlier passes included
    negatives: int  # negatives in the training set
    new: int  # negatives that earlier fits did not have
    kept: int  # negatives that stayed in the training set afterwards
    hardest: list[
        tuple[float, int, int]
    ]  # new negatives with the highest scores: (score before the fit, image, window)


class SVMs(NamedTuple):
    """One SVM for each class; scores are features @ kernel + bias."""

    kernel: Float[np.ndarray, "F C"]
    bias: Float[np.ndarray, " C"]
    rounds: list[Round]  # all fits, by the number of images
    unfinished: int  # fits that stopped at the most iterations before they converged


def mine(
    positives: Float[np.ndarray, "P F"],
    labels: Int[np.ndarray, " P"],
    images: SplitFeatures,
    classes: int,
    config: MiningConfig,
) -> SVMs:
    """Fit an SVM for each class by hard negative mining.

    Nothing is drawn at random. A class without positives has a score of -1000 for each window.

    Args:
        positives: features of the objects of all images.
        labels: their classes, from 1.
        images: features of all windows, in which negatives are looked for.
        classes: number of classes without the background.
        config: the flags.

    Returns:
        The SVMs of the classes 1 … `classes`.
    """
    miners = [_Miner(label, positives[labels == label], config) for label in range(1, classes + 1)]
    learning = [m for m in miners if len(m.positives)]
    for step in range(config.passes * len(images)):
        index = step % len(images)
        windows = images[index]
        for miner in learning:
            miner.see(index, windows.features, windows.negative[:, miner.label - 1])
            last = index == len(images) - 1  # a pass ends with a fit, so that no negative is left out
            if not miner.rounds or miner.fresh >= config.fit_after or (last and miner.fresh):
                miner.fit(step + 1)
    return SVMs(
        np.stack([m.kernel for m in miners], axis=1),
        np.array([m.bias for m in miners]),
        sorted((r for m in miners for r in m.rounds), key=lambda r: (r.images, r.label)),
        sum(m.unfinished for m in miners),
    )


def objective(
    kernel: Float[np.ndarray, " F"],
    bias: float,
    features: Float[np.ndarray, "N F"],
    positive: Bool[np.ndarray, " N"],
    config: MiningConfig,
) -> float:
    """Compute what an SVM minimises: ½|w|² + ½(b/s)² + C Σ weight · max(0, 1 - y·score), the L1 hinge loss.

    Args:
        kernel: w.
        bias: b; s is the flag `bias_scale`.
        features: features of all examples.
        positive: whether y is 1 or -1.
        config: the flags.

    Returns:
        The value.
    """
    margin = np.where(positive, 1.0, -1.0) * (features @ kernel + bias)
    errors = np.where(positive, config.positive_weight, 1.0) * np.maximum(1.0 - margin, 0.0)
    return float(0.5 * (kernel @ kernel + (bias / config.bias_scale) ** 2) + config.c * errors.sum())


class _Miner:
    """The SVM of one class with its training set."""

    def __init__(self, label: int, positives: Float[np.ndarray, "P F"], config: MiningConfig):
        self.label, self.positives, self.config = label, positives, config
        self.kernel, self.bias = np.zeros(positives.shape[1]), _NEVER
        self.rounds: list[Round] = []
        self.unfinished = self.fresh = 0
        self._negatives = np.zeros((0, positives.shape[1]), positives.dtype)
        self._places = np.zeros((0, 2), np.int64)  # (image, window) of each negative
        self._waiting: list[
            tuple[np.ndarray, np.ndarray, np.ndarray]
        ] = []  # features, places and scores of new negatives

    def see(self, image: int, features: Float[np.ndarray, "R F"], negative: Bool[np.ndarray, " R"]) -> None:
        """Add the hard negatives of an image to the training set; before the first fit each negative counts as hard."""
        scores = features @ self.kernel + self.bias if self.rounds else np.full(len(features), np.inf)
        hard = negative & (scores > self.config.add_above)
        hard[self._places[self._places[:, 0] == image, 1]] = False  # already in the training set, since an earlier pass
        rows = np.flatnonzero(hard)
        if rows.size:
            places = np.stack([np.full(rows.size, image), rows], axis=1)
            self._waiting.append((features[rows], places, scores[rows]))
            self.fresh += rows.size

    def fit(self, images: int) -> None:
        """Fit the SVM, then drop the negatives that have become easy; `images` were mined before."""
        hardest = self._take()
        held, new = len(self._negatives), self.fresh
        self.kernel, self.bias, finished = solve(self.positives, self._negatives, self.config)
        scores = self._negatives @ self.kernel + self.bias
        keep = scores >= self.config.drop_below
        self._negatives, self._places = self._negatives[keep], self._places[keep]
        self.unfinished += not finished
        self.fresh = 0
        self.rounds.append(Round(self.label, images, held, new, int(keep.sum()), hardest))

    def _take(self, most: int = 16) -> list[tuple[float, int, int]]:
        """Move the new negatives into the training set and return the hardest."""
        if not self._waiting:
            return []
        features, places, scores = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting = []
        self._negatives = np.concatenate([self._negatives, features])
        self._places = np.concatenate([self._places, places])
        first = np.argsort(-scores, kind="stable")[:most]
        return [(float(scores[i]), int(places[i, 0]), int(places[i, 1])) for i in first]


def solve(
    positives: Float[np.ndarray, "P F"], negatives: Float[np.ndarray, "N F"], config: MiningConfig
) -> tuple[Float[np.ndarray, " F"], float, bool]:
    """Fit one SVM: minimise `objective` with liblinear.

    Args:
        positives: features of objects.
        negatives: features of background; without any, the kernel is 0 and the bias 1.
        config: the flags.

    Returns:
        Kernel, bias, and whether liblinear converged.
    """
    if not len(negatives):
        return np.zeros(positives.shape[1]), 1.0, True
    from sklearn.exceptions import ConvergenceWarning  # takes a second, which --help need not wait
    from sklearn.svm import LinearSVC

    machine = LinearSVC(
        C=config.c,
        loss="hinge",
        dual=True,
        intercept_scaling=config.bias_scale,
        class_weight={1: config.positive_weight, 0: 1.0},
        max_iter=_ITERATIONS,
        random_state=0,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        machine.fit(np.concatenate([positives, negatives]), np.repeat([1, 0], [len(positives), len(negatives)]))
    finished = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return machine.coef_[0], float(machine.intercept_[0]), finished


def mean_length(features: Iterable[Shaped[np.ndarray, "_ F"]]) -> float:
    """Return the mean Euclidean length of the rows of several arrays. ValueError: there are none, or all are 0."""
    lengths = np.concatenate([np.linalg.norm(part.astype(np.float64), axis=1) for part in features])
    if not lengths.size or not lengths.mean():
        raise ValueError("features: all are 0, or there are none; train the network longer or lower --optimizer.lr")
    return float(lengths.mean())
