"""The accuracy of a linear classifier on frozen features, by which DCGAN's discriminator was tested."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer

_GRID = 4  # cells a side that a map is pooled to


def svm_accuracy(
    features: Float[np.ndarray, "N F"],
    labels: Integer[np.ndarray, " N"],
    test_features: Float[np.ndarray, "M F"],
    test_labels: Integer[np.ndarray, " M"],
    c: float = 0.01,
) -> float:
    """Fit a linear L2-SVM (squared hinge, one against the rest) and return its accuracy on test rows.

    Every feature is first brought to mean 0 and variance 1 over the rows fitted to.

    Args:
        features: features of the rows fitted to.
        labels: their classes.
        test_features: features of the test rows.
        test_labels: their classes.
        c: weight of the errors against the margin; choose it on rows that are not tested.

    Returns:
        The accuracy, from 0 to 1.

    Raises:
        ValueError: rows of fewer than two classes.

    Example:
        >>> features, labels = np.array([[0.0], [0.1], [0.9], [1.0]]), np.array([0, 0, 1, 1])
        >>> svm_accuracy(features, labels, features, labels)
        1.0
    """
    if len(np.unique(labels)) < 2:
        raise ValueError(f"svm_accuracy: {len(labels)} rows to fit, all of one class; give rows of at least two")
    mean, spread = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    spread[spread == 0.0] = 1.0
    scaled = [(x - mean[None]) / spread[None] for x in (features, test_features)]
    from sklearn.svm import LinearSVC  # takes seconds, which whoever imports jaxvision.evals need not wait

    machine = LinearSVC(C=c, dual="auto", max_iter=20_000, random_state=0)
    machine.fit(scaled[0], labels)
    return float(np.mean(machine.predict(scaled[1]) == test_labels))


def grid_features(maps: Sequence[Float[np.ndarray, "B _ _ _"]]) -> Float[np.ndarray, "B F"]:
    """Join a discriminator's maps of all layers, each max-pooled to 4 × 4 cells (Radford et al. 2016, section 5.1).

    ValueError: a side that 4 does not divide.
    """
    return np.concatenate([_pooled(each).reshape(len(each), -1) for each in maps], axis=1)


def _pooled(maps: Float[np.ndarray, "B H W C"]) -> Float[np.ndarray, "B G G C"]:
    b, h, w, c = maps.shape
    if h % _GRID or w % _GRID:
        raise ValueError(f"grid_features: a map of {h} × {w}; give layers whose sides are multiples of {_GRID}")
    return maps.reshape(b, _GRID, h // _GRID, _GRID, w // _GRID, c).max(axis=(2, 4))
