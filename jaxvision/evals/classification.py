"""Metrics of image classification, accumulated on the host in float64.

Outputs hold "probabilities" [B, K] or, without them, "logits" [B, K]; a batch holds "label" int [B] and "_mask" bool
[B], true for the rows that are examples and not padding.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from jaxvision.train.types import Metric, Result
from jaxvision.viz import confusion

Draw = Callable[[Int[np.ndarray, "K K"], Sequence[str]], UInt8[np.ndarray, "H W 3"]]


def accuracy(top: tuple[int, ...] = (1, 5)) -> Metric:
    """Measure the fraction of examples whose label is among the k highest scores: {"accuracy"} for k = 1, {"top5"}, ….

    Of equal scores the lower class index ranks higher, as with argmax; NaN outranks everything and is never right. A k
    above the number of classes counts every example.

    Example:
        >>> metric = accuracy(top=(1,))
        >>> outputs, batch = {"logits": np.eye(3)}, {"label": np.array([0, 1, 0]), "_mask": np.ones(3, bool)}
        >>> round(metric.result(metric.update(metric.init(), outputs, batch))["accuracy"], 3)
        0.667
    """

    def update(state: Int[np.ndarray, " n"], outputs: Mapping, batch: Mapping) -> Int[np.ndarray, " n"]:
        scores, labels = real_rows(outputs, batch)
        ranks = _ranks(scores, labels)
        hits = [np.sum(ranks < min(k, scores.shape[1])) for k in top]
        return state + np.array([len(labels), *hits])

    def result(state: Int[np.ndarray, " n"]) -> Result:
        count, *hits = state.tolist()
        refuse_empty("accuracy", count)
        return {"accuracy" if k == 1 else f"top{k}": h / count for k, h in zip(top, hits, strict=True)}

    return Metric(lambda: np.zeros(len(top) + 1, np.int64), update, result)


def most_frequent(num_classes: int) -> Metric:
    """Measure {"most_frequent"}, the share of the examples with the most frequent label: a constant guess is so good.

    Example:
        >>> metric, batch = most_frequent(3), {"label": np.array([0, 1, 0, 2]), "_mask": np.ones(4, bool)}
        >>> metric.result(metric.update(metric.init(), {}, batch))
        {'most_frequent': 0.5}
    """

    def update(state: Int[np.ndarray, " K"], outputs: Mapping, batch: Mapping) -> Int[np.ndarray, " K"]:
        labels = np.asarray(batch["label"])[np.asarray(batch["_mask"], bool)]
        return state + np.bincount(labels, minlength=num_classes)

    def result(state: Int[np.ndarray, " K"]) -> Result:
        refuse_empty("most_frequent", int(state.sum()))
        return {"most_frequent": float(state.max() / state.sum())}

    return Metric(lambda: np.zeros(num_classes, np.int64), update, result)


def nll() -> Metric:
    """Measure the mean negative log-likelihood of the labels in nats: {"nll"}. A probability of 0 counts as 2.2e-16.

    Example:
        >>> metric = nll()
        >>> outputs = {"probabilities": np.full((2, 2), 0.5)}
        >>> batch = {"label": np.array([0, 1]), "_mask": np.ones(2, bool)}
        >>> round(metric.result(metric.update(metric.init(), outputs, batch))["nll"], 4)  # log 2
        0.6931
    """

    def update(state: Float[np.ndarray, " 2"], outputs: Mapping, batch: Mapping) -> Float[np.ndarray, " 2"]:
        scores, labels = real_rows(outputs, batch)
        own = np.take_along_axis(scores, labels[:, None], axis=1)[:, 0]
        if "probabilities" in outputs:
            losses = -np.log(np.maximum(own, np.finfo(np.float64).eps))
        else:
            losses = np.logaddexp.reduce(scores, axis=1) - own
        return state + np.array([len(labels), losses.sum()])

    def result(state: Float[np.ndarray, " 2"]) -> Result:
        count, total = state.tolist()
        refuse_empty("nll", count)
        return {"nll": total / count}

    return Metric(lambda: np.zeros(2), update, result)


def confusion_matrix(class_names: Sequence[str], draw: Draw = confusion.confusion_matrix) -> Metric:
    """Count pairs of true and predicted class: {"confusion_matrix": uint8 image}. The state is int64 [true, predicted].

    Example:
        >>> metric = confusion_matrix(("cat", "dog"))
        >>> outputs, batch = {"logits": np.eye(2)}, {"label": np.array([0, 0]), "_mask": np.ones(2, bool)}
        >>> metric.update(metric.init(), outputs, batch).tolist()  # rows: true classes
        [[1, 1], [0, 0]]
    """
    k = len(class_names)

    def update(state: Int[np.ndarray, "K K"], outputs: Mapping, batch: Mapping) -> Int[np.ndarray, "K K"]:
        scores, labels = real_rows(outputs, batch)
        if scores.shape[1] != k:
            raise ValueError(
                f"confusion_matrix: {k} class names for a model of {scores.shape[1]} outputs; give as many"
            )
        return state + np.bincount(labels * k + scores.argmax(axis=1), minlength=k * k).reshape(k, k)

    def result(state: Int[np.ndarray, "K K"]) -> Result:
        refuse_empty("confusion_matrix", state.sum())
        return {"confusion_matrix": draw(state, class_names)}

    return Metric(lambda: np.zeros((k, k), np.int64), update, result)


def real_rows(outputs: Mapping, batch: Mapping) -> tuple[Float[np.ndarray, "N K"], Int[np.ndarray, " N"]]:
    """Scores and labels without the rows that pad the last batch."""
    mask: Bool[np.ndarray, " B"] = np.asarray(batch["_mask"])
    scores = np.asarray(outputs["probabilities"] if "probabilities" in outputs else outputs["logits"])
    scores, labels = scores[mask].astype(np.float64), np.asarray(batch["label"])[mask].astype(np.int64)
    wrong = labels[(labels < 0) | (labels >= scores.shape[1])]
    if wrong.size:
        raise ValueError(
            f"label {wrong[0]} in a model of {scores.shape[1]} classes: set num_classes as the data has them"
        )
    return scores, labels


def _ranks(scores: Float[np.ndarray, "N K"], labels: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Count the classes that rank above each label: 0 is best."""
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    tied_before = (scores == own) & (np.arange(scores.shape[1])[None] < labels[:, None])
    return np.sum(~(scores <= own) | tied_before, axis=1)  # not "greater": a NaN on either side must count


def refuse_empty(metric: str, count: int | float | np.integer | np.floating) -> None:
    """Raise ValueError if a metric has seen no example."""
    if not count:
        raise ValueError(f"{metric}: the evaluation data has no examples; check --data and its validation split")
