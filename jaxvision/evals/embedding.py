"""What an encoder makes of a whole data set: its features as rows, and maps of them in the plane.

Outputs hold "features" [B, D]; a batch holds "label" int [B] and "_mask" bool [B], true for the rows that are examples
and not padding.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from jaxvision.evals.classification import refuse_empty
from jaxvision.train.types import Hook, Metric, Predict, Result, TrainState


class Embedded(NamedTuple):
    """A data set as the encoder sees it."""

    features: Float32[np.ndarray, "N D"]
    labels: Int[np.ndarray, " N"]
    images: UInt8[np.ndarray, "N H W 3"] | None = None


def embeddings(*, images: bool = False) -> Metric:
    """{"embedded": an Embedded} of every example, with its image where that is asked for; several processes' rows are
    joined. Not a figure by itself: for hooks that compare rows (`rows_of`). ValueError: features that are not finite.
    """

    def update(state: list[Embedded], outputs: Mapping, batch: Mapping) -> list[Embedded]:
        mask = np.asarray(batch["_mask"], bool)
        features = np.asarray(outputs["features"])[mask].astype(np.float32)
        if not np.isfinite(features).all():
            raise ValueError("features are not finite; lower --optimizer.lr of the run that trained the encoder")
        shown = np.asarray(batch["image"])[mask] if images else None
        return [*state, Embedded(features, np.asarray(batch["label"])[mask].astype(np.int64), shown)]

    def result(state: list[Embedded]) -> Result:
        refuse_empty("embeddings", sum(len(part.labels) for part in state))
        features, labels, shown = zip(*state, strict=True)
        joined = np.concatenate(shown) if images else None
        return {"embedded": Embedded(np.concatenate(features), np.concatenate(labels), joined)}

    return Metric(list, update, result)


def rows_of(hook: Hook, predict: Predict, state: TrainState) -> Embedded:
    """What a hook `train.hooks.evaluate((embeddings(),), data)` collects."""
    (embedded,) = hook.run(predict, state).values()
    return embedded


def directions(features: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
    """Features scaled to length 1, so that a product of two is their cosine; rows of zeros stay."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(norms, np.finfo(np.float32).tiny)


def pca(features: Float32[np.ndarray, "N D"]) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, " 2"]]:
    """Places on the two directions of most variance, and the share of all variance that each of them holds.

    Of 1 feature or 1 row the second is 0. The sign of an axis is fixed by scikit-learn, so that maps of equal features
    are equal.

    Example:
        >>> places, shares = pca(np.array([[0, 0], [1, 1], [2, 2]], np.float32))
        >>> places.shape, [round(float(share), 3) for share in shares]
        ((3, 2), [1.0, 0.0])
    """
    count = min(2, *features.shape)
    from sklearn.decomposition import PCA  # takes seconds, which whoever imports jaxvision.evals need not wait

    model = PCA(count, svd_solver="full")
    with np.errstate(invalid="ignore"):  # no variance at all: 0 / 0, shown as 0
        places = model.fit_transform(features.astype(np.float64))
    shares = np.nan_to_num(model.explained_variance_ratio_)
    return np.pad(places, ((0, 0), (0, 2 - count))), np.pad(shares, (0, 2 - count))


def tsne(features: Float32[np.ndarray, "N D"], *, seed: int = 0) -> Float[np.ndarray, "N 2"]:
    """t-SNE of the cosine distances (van der Maaten & Hinton 2008): neighbours stay together, distances say little.

    The perplexity is 30, or a quarter of the rows where these are few. ValueError: fewer than 4 rows.

    Example:
        >>> tsne(np.eye(8, dtype=np.float32)).shape
        (8, 2)
    """
    if len(features) < 4:
        raise ValueError(f"tsne: {len(features)} examples; a map needs at least 4")
    perplexity = min(30.0, len(features) / 4.0)
    from sklearn.manifold import TSNE

    model = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    return model.fit_transform(directions(features)).astype(np.float64)
