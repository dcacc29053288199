"""What every detection reader does with the annotated objects of an image: check, clip, name what it drops."""

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
    """The record of an image, not yet decoded, and its objects; `flags` are "difficult" or "crowd".

    Boxes (x0, y0, x1, y1) are clipped to the image. Objects of which nothing is left, or whose corners are inverted or
    not numbers, are dropped and named in the record's note, which the pipeline logs (with `strict`: an error).
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
    """The same record with its image, and its masks where it has them, as arrays."""
    record = {**record, "image": decode.pixels(record["image"])}
    if isinstance(record.get("masks"), Outlines):
        record["masks"] = record["masks"].pixels()
    return record


def inside(
    boxes: Float32[np.ndarray, "N 4"], width: int, height: int
) -> tuple[Float32[np.ndarray, "N 4"], Bool[np.ndarray, "N"]]:
    """Boxes clipped to the image, and which of them have an area there; inverted and NaN boxes have none."""
    edge = np.array([[width, height, width, height]], np.float32)
    clipped = np.clip(boxes, np.float32(0), edge)
    return clipped, (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])


def check_extent(name: str, image: Encoded, width: int, height: int) -> None:
    """Raises ValueError where an image is not of the size that its boxes were drawn on."""
    if (image.width, image.height) != (width, height):
        turned = (
            " (the annotations ignore its EXIF orientation)" if (image.height, image.width) == (width, height) else ""
        )
        raise ValueError(f"{name}: annotated as {width}x{height}, but it is {image.width}x{image.height}{turned}")


def _text(box: Float32[np.ndarray, "4"]) -> str:
    return " ".join(f"{value:g}" for value in box)
