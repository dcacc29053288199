"""Classification by the nearest neighbours among an encoder's features, which needs no training.

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
    """Measure {"knn/accuracy"}, the share of the queries whose label wins the vote of their neighbours in the bank.

    Args:
        bank: a hook that collects the features of labelled examples (`embeddings`).
        queries: a hook that collects those of the examples to be classified.
        num_classes: the number of classes.
        k: the number of neighbours that vote.
        temperature: a neighbour's weight is exp(cosine / temperature).
        every: training steps between evaluations; 0: only at the end.

    Returns:
        The hook "knn".
    """

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
    """Return each class's share of the votes of a query's k nearest neighbours (Wu et al. 2018, section 3.4).

    Args:
        bank: features and labels of the examples that vote; one of fewer than k votes as a whole.
        queries: features of the examples to be classified.
        num_classes: the number of classes.
        k: the number of neighbours, nearest by cosine.
        temperature: a neighbour's weight is exp(cosine / temperature).

    Returns:
        Shares, which sum to 1 for each query.

    Raises:
        ValueError: k below 1, or a label that is not below `num_classes`.
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
    """Yield the k most similar rows of the bank for the queries in order, some queries at a time.

    Args:
        bank: features.
        queries: features.
        k: the number of neighbours.

    Returns:
        Pairs of row numbers in the bank, highest cosine first, and their cosines. Of equal cosines the earlier row
        comes first; which ones of many that tie at the k-th place are kept is left open.
    """
    known, k = directions(bank), min(k, len(bank))
    rows = max(1, _NUMBERS // len(bank))
    for start in range(0, len(queries), rows):
        cosines = directions(queries[start : start + rows]) @ known.T
        found = np.sort(np.argpartition(-cosines, k - 1, axis=1)[:, :k], axis=1)
        near = np.take_along_axis(cosines, found, axis=1)
        order = np.argsort(-near, axis=1, kind="stable")
        yield np.take_along_axis(found, order, axis=1), np.take_along_axis(near, order, axis=1)
