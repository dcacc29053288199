"""What is made of a detector's outputs: average precision, pictures of detections, predictions.json, results.json."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from jaxvision.data.inputs import Inputs
from jaxvision.data.original_ids import original_ids
from jaxvision.data.records import Records
from jaxvision.evals import coco_results
from jaxvision.evals.coco_ap import coco_ap
from jaxvision.evals.voc_ap import voc_ap
from jaxvision.train.types import Batch, Data, Metric, Presentation, PyTree, Result
from jaxvision.viz import detection as viz

SHOWN = 8  # images in a picture


def average_precision(
    class_names: Sequence[str], protocol: Literal["coco", "voc07_11pt", "voc10_area"], *, masks: bool = False
) -> Metric:
    """Return the metric of the flag `--protocol`.

    Args:
        class_names: names of the classes, the background first.
        protocol: "coco", or one of VOC's.
        masks: whether masks count too, for which COCO has a protocol and VOC has none.

    Returns:
        The average precision of boxes and, with `masks`, of masks.
    """
    return coco_ap(class_names, masks=masks) if protocol == "coco" else voc_ap(class_names, protocol)


def results_file(inputs: Inputs, records: Records) -> tuple[Metric, ...]:
    """Return the metric that writes results.json, in a tuple: () in training, or where the records keep no ids.

    Args:
        inputs: tell whether a trained network is only used.
        records: the images that are evaluated.
    """
    ids = None if inputs.training else original_ids(records)
    return () if ids is None else (coco_results.results_list(ids.images, ids.categories),)


def unmoved(metric: Metric) -> Metric:
    """Return AP_unmoved and AP50_unmoved, the average precision of boxes without regression, `outputs["unmoved"]`."""

    def update(state: Any, outputs: Any, batch: Any) -> Any:
        return metric.update(state, outputs["unmoved"], batch)

    def result(state: Any) -> Result:
        return {f"{name}_unmoved": value for name, value in metric.result(state).items() if name in ("AP", "AP50")}

    return metric._replace(update=update, result=result)


def presentation(
    class_names: Sequence[str], read: Callable[[Records], Data], *, min_score: float = 0.5
) -> Presentation:
    """Return what `--mode=predict` writes: pictures, and predictions.json in COCO's format.

    Args:
        class_names: names of the classes, the background first.
        read: the batches of a user's images, each image once.
        min_score: the least score of a detection that is drawn.

    Returns:
        The experiment's presentation.
    """
    return Presentation(
        read,
        coco_results.image_results,
        lambda outputs, batch: draw(
            outputs, {k: batch[k] for k in ("image", "size", "_mask")}, class_names=class_names, min_score=min_score
        ),
        partial(coco_results.document, class_names),
    )


def draw(
    outputs: PyTree, batch: Batch, *, class_names: Sequence[str], min_score: float = 0.5
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw the detections in the first images of a batch.

    Args:
        outputs: the detector's outputs for the batch.
        batch: images, and objects where they are known.
        class_names: names of the classes, the background first.
        min_score: the least score of a detection that is drawn.

    Returns:
        A picture of up to `SHOWN` images.
    """
    return viz.detections(batch["image"], outputs, batch, class_names, min_score=min_score, most=SHOWN)
