"""Annotated objects of an image, as every detection reader checks and clips them, and notes those that it drops."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float32, Int32

from jaxvision.data import decode
from jaxvision.data.decode import Encoded
from jaxvision.data.outlines import Outlines
from jaxvision.data.records import NOTE, Record

VOC_NAMES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def annotated(
    image: Encoded,
    boxes: Float32[np.ndarray, "N 4"],
    labels: Int32[np.ndarray, "N"],
    flags: Mapping[str, Bool[np.ndarray, "N"]],
    masks: Outlines | None = None,
) -> Record:
    """Return the record of an image and its objects, the boxes clipped to the image.

    Objects whose clipped box has no area, or whose corners are inverted or not numbers, are dropped and listed in the
    record's note, which the pipeline logs (with `strict`: raises).

    Args:
        image: Not decoded yet.
        boxes: (x0, y0, x1, y1) in pixels.
        labels: From 1; 0 is background.
        flags: "difficult" or "crowd" of each object.
        masks: Of the objects, not drawn yet; None where the set has none.

    Returns:
        A record with "image", "boxes", "labels", the flags, and "masks" where given.
    """
    clipped, kept = inside(boxes, *decode.extent(image))
    record: Record = {"image": image, "boxes": clipped[kept], "labels": labels[kept]}
    record |= {key: values[kept] for key, values in flags.items()}
    if masks is not None:
        record["masks"] = masks.select(kept)
    if not kept.all():
        gone = ", ".join(f"object {i + 1} ({_text(boxes[i])})" for i in np.flatnonzero(~kept))
        record[NOTE] = f"dropped {np.sum(~kept)} of {len(kept)} boxes, without area inside the image: {gone}"
    return record


def decoded(record: Record) -> Record:
    """Return the record with its image decoded and its masks, if it has any, drawn."""
    record = {**record, "image": decode.pixels(record["image"])}
    if isinstance(record.get("masks"), Outlines):
        record["masks"] = record["masks"].pixels()
    return record


def inside(
    boxes: Float32[np.ndarray, "N 4"], width: int, height: int
) -> tuple[Float32[np.ndarray, "N 4"], Bool[np.ndarray, "N"]]:
    """Clip boxes to the image.

    Args:
        boxes: (x0, y0, x1, y1) in pixels.
        width: Of the image in pixels.
        height: Of the image in pixels.

    Returns:
        The clipped boxes, and True for those with an area; inverted and NaN boxes have none.
    """
    edge = np.array([[width, height, width, height]], np.float32)
    clipped = np.clip(boxes, np.float32(0), edge)
    return clipped, (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])


def check_extent(name: str, image: Encoded, width: int, height: int) -> None:
    """Check that an image has the size that its boxes were annotated on.

    Args:
        name: Of the image, for the error message.
        image: Not decoded yet.
        width: Annotated, in pixels.
        height: Annotated, in pixels.

    Raises:
        ValueError: The sizes differ.
    """
    if (image.width, image.height) != (width, height):
        turned = (
            " (the annotations ignore its EXIF orientation)" if (image.height, image.width) == (width, height) else ""
        )
        raise ValueError(f"{name}: annotated as {width}x{height}, but it is {image.width}x{image.height}{turned}")


def _text(box: Float32[np.ndarray, "4"]) -> str:
    return " ".join(f"{value:g}" for value in box)
