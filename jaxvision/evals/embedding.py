"""Features of a whole data set as rows, and maps of them in the plane.

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
    """The features of every example of a data set, with labels and perhaps images."""

    features: Float32[np.ndarray, "N D"]
    labels: Int[np.ndarray, " N"]
    images: UInt8[np.ndarray, "N H W 3"] | None = None


def embeddings(*, images: bool = False) -> Metric:
    """Collect the features of every example: {"embedded": an `Embedded`}, for hooks that compare rows (`rows_of`).

    With `images` each example's image is kept too. Rows of several processes are joined. ValueError: features that are
    not finite.
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
    """Return the features that an evaluation with `embeddings` collects.

    Args:
        hook: `train.hooks.evaluate((embeddings(),), data)`.
        predict: the encoder's compiled `predict`.
        state: the encoder's state.

    Returns:
        The features of every example of the data.
    """
    (embedded,) = hook.run(predict, state).values()
    return embedded


def directions(features: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
    """Scale features to length 1, so that the product of two is their cosine; rows of zeros stay zero."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(norms, np.finfo(np.float32).tiny)


def pca(features: Float32[np.ndarray, "N D"]) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, " 2"]]:
    """Return positions along the two directions of most variance, and each direction's share of all variance.

    With 1 feature or 1 row the second is 0. scikit-learn fixes the sign of an axis, so equal features have equal maps.

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
    """Map by t-SNE and cosine distances (van der Maaten & Hinton 2008): neighbours stay near, distances say little.

    The perplexity is 30, or a quarter of the rows if that is less. ValueError: fewer than 4 rows.

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
