"""Pictures of an encoder's features of a small set: two maps, and the nearest neighbours of some examples."""

from collections.abc import Sequence

import numpy as np

from jaxvision.evals.embedding import Embedded, pca, rows_of, tsne
from jaxvision.evals.knn import nearest
from jaxvision.train.types import Hook, Predict, Result, TrainState
from jaxvision.viz import embedding as viz

_QUERIES = 8
_NEIGHBOURS = 8


def maps_and_neighbours(examples: Hook, class_names: Sequence[str], *, every: int = 0) -> Hook:
    """Draw maps of the features of some examples by PCA and t-SNE, and the nearest neighbours of a few of them.

    Args:
        examples: a hook `train.hooks.evaluate((embeddings(images=True),), data)`; a thousand make a readable map.
        class_names: names of the classes.
        every: training steps between pictures; 0: only at the end.

    Returns:
        A hook with the pictures "embedding/pca", "embedding/tsne" (from 4 examples on) and "embedding/neighbours",
        which are neighbours among the same examples, by cosine.
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
    """Draw queries, evenly from all classes, and the nearest other examples of each."""
    assert rows.images is not None
    queries = _one_of_each(rows.labels, _QUERIES)
    (found, _), *_ = nearest(rows.features, rows.features[queries], _NEIGHBOURS + 1)
    others = np.stack([row[row != query][: min(_NEIGHBOURS, len(rows.labels) - 1)]
                       for row, query in zip(found, queries, strict=True)])  # fmt: skip
    return viz.neighbours(
        rows.images[queries], rows.images[others], rows.labels[queries], rows.labels[others], class_names
    )


def _one_of_each(labels: np.ndarray, count: int) -> np.ndarray:
    """Return up to `count` rows, the first of every class before the second of any."""
    nth = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        nth[labels == label] = np.arange(np.sum(labels == label))
    return np.lexsort((labels, nth))[:count]
