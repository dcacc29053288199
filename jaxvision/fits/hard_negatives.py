"""A linear SVM for each class, against the negatives that are hard for it (Girshick et al. 2014, section 2.3).

Of millions of windows next to none is an object. The machines learn from few of them: those that they get wrong, which
one pass over the images finds. `C` is the number of classes without the background; label c belongs to column c - 1.
"""

import dataclasses
import warnings
from collections.abc import Iterable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

_NEVER = -1e3  # the score of a class that has no positives
_ITERATIONS = 20_000


@dataclasses.dataclass(frozen=True)
class Mining:
    """Numbers of the released code."""

    c: float = 0.001  # weight of the errors against the margin
    positive_weight: float = 2.0  # of the errors on positives, against 1
    bias_scale: float = 10.0  # the bias is the weight of a feature of this value, so it is pulled to 0 less
    norm: float = 20.0  # features are scaled to this mean length
    negative_iou: float = 0.3  # windows that overlap every object of a class less are its negatives
    passes: int = 1  # over the images
    add_above: float = -1.0001  # negatives of a higher score are learned from
    drop_below: float = -1.2  # those of a lower one are forgotten after the next fit
    fit_after: int = 2000  # new negatives


class Windows(NamedTuple):
    """The windows of one image."""

    features: Float[np.ndarray, "R F"]
    negative: Bool[np.ndarray, "R C"]  # for which classes they are


@runtime_checkable
class Images(Protocol):
    """Random access to windows, image by image."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Windows: ...


class Round(NamedTuple):
    """One fit of one class, after a number of images."""

    label: int
    images: int
    negatives: int  # that it learned from
    new: int  # of them
    kept: int  # afterwards
    hardest: list[tuple[float, int, int]]  # of the new ones: score at that time, image, window


class Machines(NamedTuple):
    """Scores are features @ kernel + bias."""

    kernel: Float[np.ndarray, "F C"]
    bias: Float[np.ndarray, " C"]
    rounds: list[Round]
    unfinished: int  # fits that the solver left before its tolerance


def mine(
    positives: Float[np.ndarray, "P F"], labels: Int[np.ndarray, " P"], images: Images, classes: int, numbers: Mining
) -> Machines:
    """The machines of labels 1 … `classes`, from the positives' features and a pass (or several) over the images.

    Everything is taken in order, so the result is the same each time. A class without positives scores below all.
    """
    miners = [_Miner(label, positives[labels == label], numbers) for label in range(1, classes + 1)]
    learning = [m for m in miners if len(m.positives)]
    for step in range(numbers.passes * len(images)):
        index = step % len(images)
        windows = images[index]
        for miner in learning:
            miner.see(index, windows.features, windows.negative[:, miner.label - 1])
            last = index == len(images) - 1  # by the next pass all are held or known to be easy
            if not miner.rounds or miner.fresh >= numbers.fit_after or (last and miner.fresh):
                miner.fit(step + 1)
    return Machines(
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
    numbers: Mining,
) -> float:
    """What a machine minimises: ½|w|² + ½(b/s)² + C Σ weight · max(0, 1 - y·score), the L1 hinge loss."""
    margin = np.where(positive, 1.0, -1.0) * (features @ kernel + bias)
    errors = np.where(positive, numbers.positive_weight, 1.0) * np.maximum(1.0 - margin, 0.0)
    return float(0.5 * (kernel @ kernel + (bias / numbers.bias_scale) ** 2) + numbers.c * errors.sum())


class _Miner:
    """One class: its machine, and the negatives that it holds."""

    def __init__(self, label: int, positives: Float[np.ndarray, "P F"], numbers: Mining):
        self.label, self.positives, self.numbers = label, positives, numbers
        self.kernel, self.bias = np.zeros(positives.shape[1]), _NEVER
        self.rounds: list[Round] = []
        self.unfinished = self.fresh = 0
        self._negatives = np.zeros((0, positives.shape[1]), positives.dtype)
        self._places = np.zeros((0, 2), np.int64)  # image and window of each negative
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # features, places and scores of new ones

    def see(self, image: int, features: Float[np.ndarray, "R F"], negative: Bool[np.ndarray, " R"]) -> None:
        """Take the hard ones of an image; before the first fit, all are."""
        scores = features @ self.kernel + self.bias if self.rounds else np.full(len(features), np.inf)
        hard = negative & (scores > self.numbers.add_above)
        hard[self._places[self._places[:, 0] == image, 1]] = False  # held since an earlier pass
        rows = np.flatnonzero(hard)
        if rows.size:
            places = np.stack([np.full(rows.size, image), rows], axis=1)
            self._waiting.append((features[rows], places, scores[rows]))
            self.fresh += rows.size

    def fit(self, images: int) -> None:
        """Learn from all that is held, then forget what has become easy."""
        hardest = self._take()
        held, new = len(self._negatives), self.fresh
        self.kernel, self.bias, finished = solve(self.positives, self._negatives, self.numbers)
        scores = self._negatives @ self.kernel + self.bias
        keep = scores >= self.numbers.drop_below
        self._negatives, self._places = self._negatives[keep], self._places[keep]
        self.unfinished += not finished
        self.fresh = 0
        self.rounds.append(Round(self.label, images, held, new, int(keep.sum()), hardest))

    def _take(self, most: int = 16) -> list[tuple[float, int, int]]:
        """Move the new negatives to the others; the hardest of them."""
        if not self._waiting:
            return []
        features, places, scores = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting = []
        self._negatives = np.concatenate([self._negatives, features])
        self._places = np.concatenate([self._places, places])
        first = np.argsort(-scores, kind="stable")[:most]
        return [(float(scores[i]), int(places[i, 0]), int(places[i, 1])) for i in first]


def solve(
    positives: Float[np.ndarray, "P F"], negatives: Float[np.ndarray, "N F"], numbers: Mining
) -> tuple[Float[np.ndarray, " F"], float, bool]:
    """Kernel and bias of least `objective`, by liblinear, and whether it came within its tolerance.

    Without negatives everything is an object: the kernel is 0 and the bias 1.
    """
    if not len(negatives):
        return np.zeros(positives.shape[1]), 1.0, True
    machine = LinearSVC(
        C=numbers.c,
        loss="hinge",
        dual=True,
        intercept_scaling=numbers.bias_scale,
        class_weight={1: numbers.positive_weight, 0: 1.0},
        max_iter=_ITERATIONS,
        random_state=0,
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConvergenceWarning)
        machine.fit(np.concatenate([positives, negatives]), np.repeat([1, 0], [len(positives), len(negatives)]))
    finished = not any(issubclass(w.category, ConvergenceWarning) for w in said)
    return machine.coef_[0], float(machine.intercept_[0]), finished


def mean_length(features: Iterable[Shaped[np.ndarray, "_ F"]]) -> float:
    """The mean Euclidean length of the rows of several arrays; ValueError where there are none, or all are 0."""
    lengths = np.concatenate([np.linalg.norm(part.astype(np.float64), axis=1) for part in features])
    if not lengths.size or not lengths.mean():
        raise ValueError("features: all are 0, or there are none; train the network longer or lower --optimizer.lr")
    return float(lengths.mean())
