"""Six images with objects and proposals at known places, as a split of R-CNN."""

from pathlib import Path

import numpy as np

from jaxvision.data.feature_store import FeatureStore, write
from jaxvision.fits.box_regression import encode
from jaxvision.recipes.rcnn_features import REGRESSOR_FEATURES, SVM_FEATURES, with_rows
from jaxvision.recipes.rcnn_windows import WindowSplit

IMAGES, CLASSES = 6, 2


class Images:
    """Two objects each, of both classes; the last of image 0 is difficult, and image 3 cannot be read."""

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> dict:
        if index == 3:
            raise ValueError("torn")
        boxes = np.array([[2, 2, 22, 22], [40, 30, 70, 60]], np.float32) + index
        return {
            "image": np.full((90, 90, 3), index, np.uint8),
            "boxes": boxes,
            "labels": np.array([1, 2], np.int32),
            "difficult": np.array([False, index == 0]),
        }

    def name(self, index: int) -> str:
        return f"image {index}"


class Torn(Images):
    """Image 3 has an annotation, and pixels that cannot be read."""

    def encoded(self, index: int) -> dict:
        return {**self[index and 1], "image": None}


def proposed() -> list[np.ndarray]:
    """Around each object three boxes off by little, and two boxes that are near nothing; none where nothing is read."""
    near = [[3, 2, 23, 22], [0, 2, 20, 23], [2, 4, 24, 24], [41, 30, 71, 61], [38, 30, 66, 60], [40, 33, 70, 66]]
    boxes = np.array([*near, [70, 2, 85, 12], [2, 60, 12, 85]], np.float32)
    return [boxes + i if i != 3 else boxes[:0] for i in range(IMAGES)]


def split() -> WindowSplit:
    return WindowSplit(Images(), proposed)


def features_of(index: int) -> dict[str, np.ndarray]:
    """SVMs see which object a window is nearest to; regressors see how it lies to it."""
    own = split()
    windows, found = own.windows[index], own.overlaps(index).iou
    rng = np.random.default_rng(index)
    machine = 5 * np.concatenate([found, 1 - found.max(1, initial=0, keepdims=True)], 1).clip(0)
    machine = machine if found.shape[1] else np.zeros((len(windows), CLASSES + 1))
    rows, objects = own.pairs(index, 0.6)
    boxes = own.objects[index].boxes
    offsets = encode(boxes[objects], windows[rows])
    return {
        SVM_FEATURES: machine + 0.01 * rng.random(machine.shape),
        REGRESSOR_FEATURES: np.concatenate([offsets, offsets[:, :1] * 2 + 1], axis=1),
    }


def written(folder: Path) -> FeatureStore:
    empty = FeatureStore(folder, {SVM_FEATURES: CLASSES + 1, REGRESSOR_FEATURES: 5}, {}, per_shard=2)
    store = with_rows(empty, split(), 0.6)
    write(store, lambda items: iter([features_of(i) for i in items.tolist()]), lambda line: None)
    return store
