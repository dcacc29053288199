"""Distances between samples and real examples as two sets of features: the kernel distance, precision and recall.

Outputs hold "features" [B, F] of the samples and "real_features" [B, F]; a batch holds "_mask" bool [B], true for the
rows that are examples and not padding. All features are kept, in the type they came in, and compared in float64.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from jaxvision.train.types import Metric, Result

Pairs: TypeAlias = list[tuple[np.ndarray, np.ndarray]]
"""Features of samples and of real examples, batch by batch."""

_ROWS = 1024  # that are compared with all others at a time


def read(outputs: Mapping, batch: Mapping) -> tuple[Float[np.ndarray, "N F"], Float[np.ndarray, "N F"]]:
    """Return a batch's features, of samples and of real examples, without padding. ValueError: one is not finite."""
    mask: Bool[np.ndarray, " B"] = np.asarray(batch["_mask"], bool)
    fake, real = (np.asarray(outputs[name])[mask] for name in ("features", "real_features"))
    if not (np.isfinite(fake).all() and np.isfinite(real).all()):
        raise ValueError("features of samples or of real images are not finite; check the extractor's weights")
    return fake, real


def kid(extractor: str, block: int = 1000) -> Metric:
    """Measure {"kid_<extractor>"}, the squared maximum mean discrepancy (Bińkowski et al. 2018, section 4).

    It is unbiased whatever the number of examples, and therefore at times below 0. The examples are dealt into blocks
    of about `block`, over which the distance is averaged, in an order that does not depend on the order in which they
    come.

    Example:
        >>> metric, rows = kid("pixels"), np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
        >>> outputs = {"features": rows + 9, "real_features": rows}
        >>> metric.result(metric.update(metric.init(), outputs, {"_mask": np.ones(8, bool)}))["kid_pixels"] > 1
        True
    """

    def result(state: Pairs) -> Result:
        fake, real = _sets("kid", state, least=2)
        order = np.random.default_rng(0).permutation(len(fake))
        blocks = np.array_split(order, max(1, len(fake) // block))
        return {f"kid_{extractor}": float(np.mean([kernel_distance(fake[b], real[b]) for b in blocks]))}

    return Metric(list, _append, result)


def kernel_distance(samples: Float[np.ndarray, "N F"], others: Float[np.ndarray, "M F"]) -> float:
    """Return the unbiased squared maximum mean discrepancy of the kernel (x·y / F + 1)³ (Bińkowski et al. 2018)."""

    def within(x: Float[np.ndarray, "K F"]) -> float:
        values = _kernel(x, x)
        return float((values.sum() - np.trace(values)) / (len(x) * (len(x) - 1)))

    return within(samples) + within(others) - 2.0 * float(_kernel(samples, others).mean())


def precision_recall(extractor: str, k: int = 3) -> Metric:
    """Measure precision and recall of samples (Kynkäänniemi et al. 2019, equations 1 and 2).

    {"precision_<extractor>"} is the share of samples that lie among the real examples, {"recall_<extractor>"} the share
    of real examples that lie among the samples. A point lies among a set if it is no farther from one of its members
    than that member's k-th nearest neighbour in the set. Both depend on the number of examples.

    Example:
        >>> metric, rows = precision_recall("pixels"), np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
        >>> state = metric.update(metric.init(), {"features": rows, "real_features": rows}, {"_mask": np.ones(8, bool)})
        >>> metric.result(state)
        {'precision_pixels': 1.0, 'recall_pixels': 1.0}
    """

    def result(state: Pairs) -> Result:
        fake, real = _sets("precision_recall", state, least=k + 1)
        shares = {"precision": among(fake, real, k).mean(), "recall": among(real, fake, k).mean()}
        return {f"{name}_{extractor}": float(share) for name, share in shares.items()}

    return Metric(list, _append, result)


def among(points: Float[np.ndarray, "N F"], members: Float[np.ndarray, "M F"], k: int) -> Bool[np.ndarray, " N"]:
    """Return for each point if it is no farther from some member than that member's k-th nearest neighbour.

    Args:
        points: the points, float64.
        members: the set.
        k: the number of neighbours, at least 1 and less than the size of the set.

    Returns:
        True for points that lie among the members.
    """
    reach = np.concatenate([np.partition(_squared_distances(m, members), k)[:, k] for m in _chunks(members)])
    return np.concatenate([np.any(_squared_distances(p, members) <= reach[None], axis=1) for p in _chunks(points)])


def _append(state: Pairs, outputs: Mapping, batch: Mapping) -> Pairs:
    return [*state, read(outputs, batch)]


def _sets(metric: str, state: Pairs, least: int) -> tuple[Float[np.ndarray, "N F"], Float[np.ndarray, "N F"]]:
    """All samples and all real examples in float64, each in an order of its own that is always the same."""
    count = sum(len(fake) for fake, _ in state)
    if count < least:
        raise ValueError(f"{metric}: {count} examples in the evaluation data; check --data, give at least {least}")
    fake, real = (_ordered(np.concatenate(rows).astype(np.float64)) for rows in zip(*state, strict=True))
    return fake, real


def _ordered(rows: Float[np.ndarray, "N F"]) -> Float[np.ndarray, "N F"]:
    return rows[np.argsort(rows.sum(axis=1), kind="stable")]


def _kernel(x: Float[np.ndarray, "N F"], y: Float[np.ndarray, "M F"]) -> Float[np.ndarray, "N M"]:
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def _chunks(x: Float[np.ndarray, "N F"]) -> list[np.ndarray]:
    return [x[start : start + _ROWS] for start in range(0, len(x), _ROWS)]


def _squared_distances(x: Float[np.ndarray, "N F"], y: Float[np.ndarray, "M F"]) -> Float[np.ndarray, "N M"]:
    """Through one matrix product; what its rounding cannot tell from 0 is 0, so that equal rows are not apart."""
    norms = np.sum(np.square(x), axis=1)[:, None] + np.sum(np.square(y), axis=1)[None, :]
    distances = norms - 2.0 * (x @ y.T)
    return np.where(distances > x.shape[1] * np.finfo(np.float64).eps * norms, distances, 0.0)
