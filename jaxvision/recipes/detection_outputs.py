"""What is made of a detector's outputs: average precision, pictures of detections, predictions.json, results.json."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from jaxvision.data.inputs import Inputs
from jaxvision.data.original_ids import original_ids
from jaxvision.data.records import Records
from jaxvision.evals import coco_results
from jaxvision.evals.coco_ap import coco_ap
from jaxvision.evals.detection import scale_of
from jaxvision.evals.voc_ap import voc_ap
from jaxvision.train.types import Batch, Data, Metric, Presentation, PyTree, Result, Shown
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
    if protocol == "coco":
        return coco_ap(class_names, masks=masks, per_class=True)
    return voc_ap(class_names, protocol)


def results_file(inputs: Inputs, records: Records) -> tuple[Metric, ...]:
    """Return the metric that writes results.json, in a tuple: () in training, or where the records keep no ids.

    Args:
        inputs: tell whether a trained network is only used.
        records: the images that are evaluated.
    """
    ids = None if inputs.training else original_ids(records)
    return () if ids is None else (coco_results.results_list(ids.images, ids.categories),)


def file_names(records: Records) -> Callable[[int], str]:
    """Return the function that gives the file name of an image by its "image_id", its position among `records`."""
    return lambda image_id: PurePath(records.name(image_id)).name


def unmoved(metric: Metric) -> Metric:
    """Return AP_unmoved and AP50_unmoved, the average precision of boxes without regression, `outputs["unmoved"]`."""

    def update(state: Any, outputs: Any, batch: Any) -> Any:
        return metric.update(state, outputs["unmoved"], batch)

    def result(state: Any) -> Result:
        return {f"{name}_unmoved": value for name, value in metric.result(state).items() if name in ("AP", "AP50")}

    return metric._replace(update=update, result=result)


def presentation(
    class_names: Sequence[str],
    read: Callable[[Records], Data],
    *,
    min_score: float = 0.5,
    prepare: Mapping[str, Any] = {},
) -> Presentation:
    """Return what `--mode=predict` writes: pictures, and predictions.json in COCO's format.

    Args:
        class_names: names of the classes, the background first.
        read: the batches of a user's images, each image once.
        min_score: the least score of a detection that is drawn.
        prepare: how `read` resizes images, see `Presentation`.

    Returns:
        The experiment's presentation.
    """
    return Presentation(
        read,
        partial(_described, class_names=class_names),
        lambda outputs, batch: draw(
            outputs, {k: batch[k] for k in ("image", "size", "_mask")}, class_names=class_names, min_score=min_score
        ),
        partial(coco_results.document, class_names),
        overlay=partial(on_photo, class_names=class_names, min_score=min_score),
        prepare=prepare,
    )


def on_photo(
    image: UInt8[np.ndarray, "H W 3"],
    outputs: PyTree,
    batch: Batch,
    row: int,
    shown: Shown,
    *,
    class_names: Sequence[str],
    min_score: float = 0.5,
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw the detections over an image at its own size.

    Args:
        image: the image as it was before it was resized.
        outputs: the detector's outputs for the batch that the image is in.
        batch: the batch, with "scale".
        row: the image's row in the batch.
        shown: the least score and the most detections.
        class_names: names of the classes, the background first.
        min_score: the least score where `shown` has none.
    """
    scores = np.asarray(outputs["scores"][row])
    least = min_score if shown.min_score is None else shown.min_score
    chosen = np.flatnonzero(np.asarray(outputs["valid"][row], bool) & (scores >= least))
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")][: shown.most]
    found = {
        name: np.asarray(outputs[name][row])[chosen]
        for name in ("boxes", "labels", "scores", "masks")
        if name in outputs
    }
    found["boxes"] = (found["boxes"] / scale_of(batch, row)[None]).astype(np.float32)
    found["valid"] = np.ones(len(chosen), bool)
    return viz.draw_instances(image, found, class_names, size=1)


def _described(outputs: PyTree, batch: Batch, row: int, *, class_names: Sequence[str]) -> dict[str, Any]:
    """Return an image's detections, each with the name of its class, which COCO's format keeps apart."""
    said = coco_results.image_results(outputs, batch, row)
    named = [{**one, "category_name": class_names[one["category_id"]]} for one in said["annotations"]]
    return {**said, "annotations": named}


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
