"""Counts of a data set: images, classes and sizes of each split, from what the reader holds or else from some records.

Labels and boxes that a reader keeps in arrays are counted in full. Otherwise records are read, without decoding their
images, until enough of them or enough seconds are spent; `Counts.read` says how many.
"""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Integer

from jaxvision.data import decode
from jaxvision.data.annotated_images import AnnotatedImages
from jaxvision.data.classes import Renumbered
from jaxvision.data.joined import Joined
from jaxvision.data.label_maps import UNLABELLED
from jaxvision.data.records import Record, Records, Subset, extent, fetch

SMALL, MEDIUM = 32**2, 96**2  # square pixels: COCO's bounds between small, medium and large objects
Unit = Literal["images", "objects", "pixels"]

_SIZES = 200  # images whose size is looked up where the other figures need no reading


class Objects(NamedTuple):
    """The objects of some images, image by image."""

    labels: Integer[np.ndarray, " N"]  # class of each object
    areas: Float[np.ndarray, " N"]  # square pixels, as the set states them or else of the box
    counts: Integer[np.ndarray, " I"]  # objects of each image


@dataclasses.dataclass(frozen=True)
class Counts:
    """Figures of one split."""

    images: int  # of the split
    read: int  # images that `classes`, `empty` and `areas` are of
    unit: Unit  # what `classes` counts
    classes: Int[np.ndarray, " K"]  # images, objects or pixels of each class
    sizes: Int[np.ndarray, "S 2"]  # width and height in pixels of some images, the smallest area first
    empty: int = 0  # images without an object
    areas: tuple[int, int, int] = (0, 0, 0)  # small, medium and large objects
    unreadable: tuple[str, ...] = ()  # a line for each broken record among those that were read


def count(
    records: Records, num_classes: int, *, pixels: bool = False, most: int = 2000, seconds: float = 2.0
) -> Counts:
    """Count the images, the classes and the sizes of a split.

    Args:
        records: the split.
        num_classes: number of classes, background included where the source has it.
        pixels: True to count the pixels of each class where the records have both boxes and label maps.
        most: most records that are read, spread over the split.
        seconds: time after which no further record is read.

    Returns:
        The counts.
    """
    order, until = np.random.default_rng(0).permutation(len(records))[:most].tolist(), time.monotonic() + seconds
    objects, labels = _objects(records), image_labels(records)
    if objects is None and labels is None:
        return _sampled(records, order, num_classes, until, pixels)
    sizes, unreadable = list[tuple[int, int]](), list[str]()
    for index in order[:_SIZES]:
        try:
            if objects is None and not (sizes or _is_image(fetch(records, index, encoded=True)["image"])):
                break  # points, as the first says
            sizes.append(extent(records, index))
        except (ValueError, OSError) as error:
            unreadable.append(str(error))
        if time.monotonic() > until:
            break
    if objects is not None:
        return _of_objects(len(records), objects, num_classes, sizes, unreadable)
    classes = np.bincount(np.asarray(labels), minlength=num_classes)
    return Counts(len(records), len(records), "images", classes, _by_area(sizes), unreadable=tuple(unreadable))


def image_labels(records: Any) -> Integer[np.ndarray, " I"] | None:
    """Return the label of every image of a split where the reader holds them in an array; None: it does not."""
    if isinstance(records, Joined):
        parts = [image_labels(part) for part in records.parts]
        known = [part for part in parts if part is not None]
        return np.concatenate(known) if known and len(known) == len(parts) else None
    if isinstance(records, Subset | Renumbered):
        whole = image_labels(records.parent)
        if whole is None:
            return None
        return whole[records.indices] if isinstance(records, Subset) else np.array(records.numbers)[whole]
    held = getattr(records, "labels", None)
    labels = None if held is None or callable(held) else np.asarray(held)
    return labels if labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu" else None


def _is_image(image: Any) -> bool:
    """Return whether it is an image, which has a size, and no point, which has none."""
    return isinstance(image, decode.Encoded) or image.ndim == 3


def _sampled(records: Records, order: Sequence[int], num_classes: int, until: float, pixels: bool) -> Counts:
    """Read records in the given order until the time is over, and count these."""
    read: list[Record] = []
    sizes, unreadable = [], []
    for index in order:
        try:
            record = fetch(records, index, encoded=True)
        except (ValueError, OSError) as error:
            unreadable.append(str(error))
            continue
        if _is_image(record["image"]):
            sizes.append(decode.extent(record["image"]))
        read.append({key: value for key, value in record.items() if key not in ("image", "masks")})
        if time.monotonic() > until:
            break
    if read and "boxes" in read[0] and not (pixels and "label_map" in read[0]):
        objects = Objects(
            np.concatenate([record["labels"] for record in read]),
            np.concatenate([_areas(record["boxes"], record.get("area")) for record in read]),
            np.array([len(record["labels"]) for record in read]),
        )
        return _of_objects(len(records), objects, num_classes, sizes, unreadable)
    unit: Unit = "images"
    if read and "label_map" in read[0]:
        unit, classes = "pixels", np.zeros(UNLABELLED + 1, np.int64)
        for record in read:
            classes += np.bincount(record["label_map"].ravel(), minlength=UNLABELLED + 1)
    else:
        labels = np.array([record["label"] for record in read if "label" in record], np.int64)
        classes = np.bincount(labels, minlength=num_classes)
    return Counts(len(records), len(read), unit, classes[:num_classes], _by_area(sizes), unreadable=tuple(unreadable))


def _of_objects(
    images: int, objects: Objects, num_classes: int, sizes: list[tuple[int, int]], unreadable: list[str]
) -> Counts:
    small, medium = int((objects.areas < SMALL).sum()), int((objects.areas < MEDIUM).sum())
    return Counts(
        images,
        len(objects.counts),
        "objects",
        np.bincount(objects.labels, minlength=num_classes),
        _by_area(sizes),
        int((objects.counts == 0).sum()),
        (small, medium - small, len(objects.areas) - medium),
        tuple(unreadable),
    )


def _objects(records: Records) -> Objects | None:
    """Return all objects where the reader holds them in arrays."""
    if isinstance(records, AnnotatedImages):
        columns = records.columns
        return Objects(records.labels(), _areas(columns["boxes"], columns["area"]), records.counts())
    if isinstance(records, Joined):
        parts = [_objects(part) for part in records.parts]
        known = [part for part in parts if part is not None]
        return Objects(*map(np.concatenate, zip(*known, strict=True))) if known and len(known) == len(parts) else None
    if isinstance(records, Subset) and (whole := _objects(records.parent)) is not None:
        counts = whole.counts[records.indices]
        starts = np.cumsum(whole.counts) - whole.counts
        rows = np.repeat(starts[records.indices] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        return Objects(whole.labels[rows], whole.areas[rows], counts)
    return None


def _areas(boxes: Float[np.ndarray, "N 4"], stated: Float[np.ndarray, " N"] | None) -> Float[np.ndarray, " N"]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    of_box = sides[:, 0] * sides[:, 1]
    return of_box if stated is None else np.where(np.isfinite(stated), stated, of_box)


def _by_area(sizes: list[tuple[int, int]]) -> Int[np.ndarray, "S 2"]:
    return np.array(sorted(sizes, key=lambda size: size[0] * size[1]), np.int64).reshape(-1, 2)
