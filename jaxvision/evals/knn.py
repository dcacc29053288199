"""Classes by the nearest neighbours among an encoder's features: the cheapest look at what it has learned.

    knn(evaluate((embeddings(),), bank), evaluate((embeddings(),), val), source.num_classes)

is a hook: `bank` is training data without augmentation, opened for evaluation so that it holds every example once.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32, Int

from jaxvision.evals.embedding import Embedded, directions, rows_of
from jaxvision.train.types import Hook, Predict, Result, TrainState

K = 20
TEMPERATURE = 0.07
_NUMBERS = 2**24  # similarities that are held at a time


def knn(
    bank: Hook, queries: Hook, num_classes: int, *, k: int = K, temperature: float = TEMPERATURE, every: int = 0
) -> Hook:
    """{"knn/accuracy": …}: the share of the queries whose class their k neighbours in the bank name."""

    def run(predict: Predict, state: TrainState) -> Result:
        known, asked = rows_of(bank, predict, state), rows_of(queries, predict, state)
        votes = class_votes(known, asked.features, num_classes, k=k, temperature=temperature)
        return {"knn/accuracy": float(np.mean(votes.argmax(axis=1) == asked.labels))}

    return Hook("knn", every, run)


def class_votes(
    bank: Embedded,
    queries: Float32[np.ndarray, "N D"],
    num_classes: int,
    *,
    k: int = K,
    temperature: float = TEMPERATURE,
) -> Float[np.ndarray, "N K"]:
    """Each class's share of the votes of a query's k nearest neighbours by cosine, with weights exp(cosine/temperature)
    (Wu et al. 2018, section 3.4).

    A bank of fewer than k votes as a whole. ValueError: k below 1, or a label that is not below `num_classes`.
    """
    if k < 1:
        raise ValueError(f"knn: k is {k}; give at least 1")
    if bank.labels.max() >= num_classes:
        raise ValueError(f"knn: label {bank.labels.max()} among {num_classes} classes; set num_classes as the data has")
    votes = [np.zeros((0, num_classes))]
    for neighbours, cosines in nearest(bank.features, queries, k):
        below = cosines.astype(np.float64) - cosines[:, :1]  # the best has weight 1: a common factor changes nothing
        weights = np.exp(below / temperature)
        places = np.arange(len(neighbours))[:, None] * num_classes + bank.labels[neighbours]
        counts = np.bincount(places.ravel(), weights.ravel(), minlength=len(neighbours) * num_classes)
        votes.append(counts.reshape(-1, num_classes) / weights.sum(axis=1, keepdims=True))
    return np.concatenate(votes)


def nearest(
    bank: Float32[np.ndarray, "M D"], queries: Float32[np.ndarray, "N D"], k: int
) -> Iterator[tuple[Int[np.ndarray, "n k"], Float32[np.ndarray, "n k"]]]:
    """For the queries in order, some at a time: rows of the k most similar of the bank, best first, and their cosines.

    Of equal cosines the earlier row is the nearer, but for which ones of many that tie at the k-th place are kept.
    """
    known, k = directions(bank), min(k, len(bank))
    rows = max(1, _NUMBERS // len(bank))
    for start in range(0, len(queries), rows):
        cosines = directions(queries[start : start + rows]) @ known.T
        found = np.sort(np.argpartition(-cosines, k - 1, axis=1)[:, :k], axis=1)
        near = np.take_along_axis(cosines, found, axis=1)
        order = np.argsort(-near, axis=1, kind="stable")
        yield np.take_along_axis(found, order, axis=1), np.take_along_axis(near, order, axis=1)
