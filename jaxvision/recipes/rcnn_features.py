"""Features of R-CNN's windows on disk: which windows they are of, and how they are computed."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from jaxvision.data.feature_store import Features, FeatureStore, write
from jaxvision.recipes.rcnn_windows import WindowSplit
from jaxvision.train.devices import share
from jaxvision.train.types import Data

SVM_FEATURES = "machine"  # name of the features that SVMs are fitted to: all windows
REGRESSOR_FEATURES = "regressor"  # name of those of box regressors: windows that overlap an object enough


def with_rows(store: FeatureStore, split: WindowSplit, min_iou: float) -> FeatureStore:
    """Return a store with the number of rows of each image.

    Args:
        store: a store without rows.
        split: the images and their windows.
        min_iou: least IoU with an object of the windows that box regressors are fitted to.

    Returns:
        A store with the same folder and widths.
    """
    rows = {
        SVM_FEATURES: np.array([len(windows) for windows in split.windows]),
        REGRESSOR_FEATURES: np.array([len(split.pairs(i, min_iou)[0]) for i in range(len(split.windows))]),
    }
    return dataclasses.replace(store, rows=rows)


def write_features(
    store: FeatureStore,
    split: WindowSplit,
    min_iou: float,
    read: Callable[[Int[np.ndarray, " M"]], Data],
    predict: Callable[[Mapping], Mapping[str, Float[np.ndarray, "B R _"]]],
    say: Callable[[str], None],
) -> None:
    """Compute the features of all windows and write them to the store.

    Args:
        store: where they are written, with the rows of `with_rows`.
        split: the images and their windows.
        min_iou: the same as that of `with_rows`.
        read: gives the batches of some images, in order.
        predict: computes the features of a batch's windows.
        say: writes a line to the log.

    Raises:
        ValueError: an image that has windows cannot be read any more.
    """

    def compute(items: Int[np.ndarray, " M"]) -> Iterator[Features]:
        with_windows = items[store.rows[SVM_FEATURES][items] > 0]
        names = [split.records.name(i) for i in with_windows.tolist()]
        computed = _each_image(read(with_windows), names, predict)
        for item in items.tolist():
            if not store.rows[SVM_FEATURES][item]:
                yield {name: np.zeros((0, width), np.float32) for name, width in store.widths.items()}
                continue
            features = next(computed)
            rows = split.pairs(item, min_iou)[0]
            yield {
                SVM_FEATURES: features[SVM_FEATURES][: len(split.windows[item])],
                REGRESSOR_FEATURES: features[REGRESSOR_FEATURES][rows],
            }

    write(store, compute, say)


def _each_image(
    data: Data, names: Sequence[str], predict: Callable[[Mapping], Mapping[str, np.ndarray]]
) -> Iterator[dict[str, Float[np.ndarray, "R _"]]]:
    """Yield the features of each image of `data`, whose names are `names`.

    ValueError: one of them cannot be read. If it were left out, the next image's features would take its place.
    """
    remaining = list(reversed(names))
    if not remaining:
        return
    with share(data) as batches:
        for batch in batches:
            outputs = predict(batch)
            for row, readable in enumerate(batch["_mask"]):
                if not remaining:
                    break  # the padding of the last batch
                name = remaining.pop()
                if not readable:
                    raise ValueError(f"{name}: cannot be read any more; mend it, or start again in another --workdir")
                yield {key: np.asarray(outputs[key][row]) for key in (SVM_FEATURES, REGRESSOR_FEATURES)}
