"""The numbers of images and objects that an evaluation was made on, and of what was left out of it."""

from collections.abc import Mapping

import numpy as np

from jaxvision.train.types import Metric, Result


def evaluated(images: int, left_out: int = 0) -> Metric:
    """Count the images and objects of an evaluation.

    Keys: "images", those that were evaluated; "objects", those that count; "ignored_objects", crowds and difficult
    objects; "unread_images", those that could not be read; "left_out_annotations", those that the reader of the data
    could not use, of all splits.

    Args:
        images: the images of the split.
        left_out: the annotations that were left out.

    Returns:
        The metric.

    Example:
        >>> metric = evaluated(3)
        >>> one = {"_mask": np.array([True, False]), "valid": np.ones((2, 4), bool), "ignore": np.zeros((2, 4), bool)}
        >>> found = metric.result(metric.update(metric.init(), {}, one))
        >>> found["images"], found["objects"], found["unread_images"]
        (1.0, 4.0, 2.0)
    """

    def update(state: np.ndarray, outputs: Mapping, batch: Mapping) -> np.ndarray:
        real = np.asarray(batch["valid"], bool) & np.asarray(batch["_mask"], bool)[:, None]
        ignore = np.asarray(batch["ignore"], bool)
        return state + np.array([np.sum(batch["_mask"]), np.sum(real & ~ignore), np.sum(real & ignore)])

    def result(state: np.ndarray) -> Result:
        seen, objects, ignored = state.tolist()
        return {
            "images": float(seen),
            "objects": float(objects),
            "ignored_objects": float(ignored),
            "unread_images": float(images - seen),
            "left_out_annotations": float(left_out),
        }

    return Metric(lambda: np.zeros(3, np.int64), update, result)
