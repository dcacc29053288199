"""Pictures of where an encoder puts the examples of a small set: two maps, and who is nearest to whom."""

from collections.abc import Sequence

import numpy as np

from jaxvision.evals.embedding import Embedded, pca, rows_of, tsne
from jaxvision.evals.knn import nearest
from jaxvision.train.types import Hook, Predict, Result, TrainState
from jaxvision.viz import embedding as viz

_QUERIES = 8
_NEIGHBOURS = 8


def maps_and_neighbours(examples: Hook, class_names: Sequence[str], *, every: int = 0) -> Hook:
    """{"embedding/pca", "embedding/tsne", "embedding/neighbours"}: pictures of the examples that a hook
    `train.hooks.evaluate((embeddings(images=True),), data)` collects; a thousand make a readable map.

    Neighbours are sought among the same examples, by cosine. Of fewer than 4 there is no t-SNE.
    """

    def run(predict: Predict, state: TrainState) -> Result:
        rows = rows_of(examples, predict, state)
        places, (first, second) = pca(rows.features)
        axes = (f"first direction: {first:.0%} of the variance", f"second: {second:.0%}")
        pictures = {"embedding/pca": viz.points(places, rows.labels, class_names, "PCA of the features", axes)}
        if len(rows.labels) >= 4:
            title = "t-SNE of the features, by cosine"
            pictures["embedding/tsne"] = viz.points(tsne(rows.features), rows.labels, class_names, title)
        return pictures | ({"embedding/neighbours": _neighbours(rows, class_names)} if len(rows.labels) > 1 else {})

    return Hook("embedding", every, run)


def _neighbours(rows: Embedded, class_names: Sequence[str]) -> np.ndarray:
    """Queries evenly from all classes that there are, and the nearest others of each."""
    assert rows.images is not None
    queries = _one_of_each(rows.labels, _QUERIES)
    (found, _), *_ = nearest(rows.features, rows.features[queries], _NEIGHBOURS + 1)
    others = np.stack([row[row != query][: min(_NEIGHBOURS, len(rows.labels) - 1)]
                       for row, query in zip(found, queries, strict=True)])  # fmt: skip
    return viz.neighbours(
        rows.images[queries], rows.images[others], rows.labels[queries], rows.labels[others], class_names
    )


def _one_of_each(labels: np.ndarray, count: int) -> np.ndarray:
    """Up to `count` rows, the first of every class before the second of any."""
    nth = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        nth[labels == label] = np.arange(np.sum(labels == label))
    return np.lexsort((labels, nth))[:count]
