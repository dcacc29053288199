"""R-CNN's SVMs and box regressors, fitted to the features on disk.

Both are fitted to features that are scaled to a mean length; the kernels that are returned are for features as stored.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from jaxvision.data.feature_store import FeatureStore
from jaxvision.fits import window_labels
from jaxvision.fits.box_regression import Pairs, RegressionConfig, Regressor, encode, fit
from jaxvision.fits.hard_negatives import MiningConfig, SVMs, WindowFeatures, mean_length, mine
from jaxvision.recipes.rcnn_features import REGRESSOR_FEATURES, SVM_FEATURES
from jaxvision.recipes.rcnn_windows import WindowSplit

_MEASURED = 200  # images whose features' lengths are averaged


def fit_svms(store: FeatureStore, split: WindowSplit, classes: int, config: MiningConfig) -> SVMs:
    """Fit the SVMs of all classes by hard negative mining.

    Args:
        store: the features of the split's windows.
        split: the images and their windows.
        classes: number of classes without the background.
        config: the flags.

    Returns:
        The SVMs.
    """
    # Copies, since a view would keep the features of all windows of its image in memory.
    of_objects = [store.read(SVM_FEATURES, i)[: split.object_count(i)].copy() for i in range(store.items)]
    factor = config.norm / mean_length(store.read(SVM_FEATURES, i) for i in range(min(_MEASURED, store.items)))
    labels = np.concatenate([o.labels[~o.ignore] for o in split.objects])
    images = _ScaledFeatures(store, split, classes, config.negative_iou, factor)
    svms = mine(np.concatenate(of_objects) * factor, labels, images, classes, config)
    return svms._replace(kernel=svms.kernel * factor)


def fit_regressors(
    store: FeatureStore, split: WindowSplit, classes: int, config: RegressionConfig, norm: float
) -> list[Regressor]:
    """Fit the box regressors of all classes.

    Args:
        store: the features of the split's windows.
        split: the images and their windows.
        classes: number of classes without the background.
        config: the flags.
        norm: mean length that features are scaled to.

    Returns:
        A regressor for each class.
    """
    pairs = [split.pairs(i, config.min_iou) for i in range(store.items)]
    measured = [i for i in range(store.items) if len(pairs[i][0])][:_MEASURED]
    factor = norm / mean_length(store.read(REGRESSOR_FEATURES, i) for i in measured) if measured else 1.0

    def of_class(label: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield each image with pairs of the class, which pairs these are, and their offsets."""
        for index, (rows, nearest) in enumerate(pairs):
            objects = split.objects[index]
            chosen = objects.labels[nearest] == label
            if chosen.any():
                yield index, chosen, encode(objects.boxes[nearest[chosen]], split.windows[index][rows[chosen]])

    def parts(label: int) -> Iterator[Pairs]:
        for index, chosen, offsets in of_class(label):
            yield store.read(REGRESSOR_FEATURES, index)[chosen] * factor, offsets

    regressors = []
    for label in range(1, classes + 1):
        offsets = np.concatenate([np.zeros((0, 4)), *(offsets for _, _, offsets in of_class(label))])
        regressor = fit(parts(label), offsets, store.widths[REGRESSOR_FEATURES], config.ridge)
        regressors.append(regressor._replace(kernel=regressor.kernel * factor))
    return regressors


@dataclasses.dataclass(frozen=True)
class _ScaledFeatures:
    """The scaled features of each image's windows, with the classes that they are negatives of."""

    store: FeatureStore
    split: WindowSplit
    classes: int
    negative_iou: float
    factor: float

    def __len__(self) -> int:
        return self.store.items

    def __getitem__(self, index: int) -> WindowFeatures:
        objects, overlaps = self.split.objects[index], self.split.overlaps(index)
        negative = window_labels.negatives(overlaps, objects, self.classes, self.negative_iou)
        return WindowFeatures(self.store.read(SVM_FEATURES, index) * np.float32(self.factor), negative)
