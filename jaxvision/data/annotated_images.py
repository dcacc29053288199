"""Images with annotated objects, held as a few flat arrays however many objects there are, and the builder of them.

Every reader of boxes fills an `Annotations` builder, object by object; what it cannot use it names there, so that one
place counts and reports what a set lost. A million objects with polygons take some hundred megabytes.
"""

import dataclasses
import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Float32, Int, Int32

from jaxvision.data import decode, objects
from jaxvision.data.outline_table import OutlineTable, OutlineTableBuilder
from jaxvision.data.outlines import Outlines, Polygons, Runs, drawable
from jaxvision.data.records import NOTE, Record
from jaxvision.data.shared_arrays import SharedArrays

FARTHEST = 1e9
"""Pixels from an image's corner; no coordinate of a usable object is as large."""
_ROUNDING = 0.01  # by so much fractions of the image may pass 0..1


@dataclasses.dataclass(frozen=True)
class AnnotatedImages:
    """Image files with boxes (x0, y0, x1, y1) in pixels, labels from 1 (0 is background), flags, and masks if any.

    Records hold boxes float32 [N, 4], labels int32 [N], each flag bool [N], area float32 [N] where the set states it
    (NaN: not stated), and masks: bool [N, H, W], or not yet drawn (`Outlines`) from `encoded`.
    """

    files: tuple[str, ...]
    ids: tuple[int | str, ...]  # the images' ids in the file that they came from, for results in the same terms
    columns: SharedArrays  # sizes [I, 2], starts [I + 1], boxes [N, 4], labels [N], area [N] and a column for each flag
    flags: tuple[str, ...]
    outlines: OutlineTable | None
    has_area: bool
    category_ids: tuple[int | str, ...] = ()  # the set's own ids of labels 1, 2, …
    faults: Mapping[int, str] = dataclasses.field(default_factory=dict)  # why records cannot be read, by their place

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        """Record `index` with its image and masks not yet decoded."""
        self._check(index)
        image = decode.Encoded(self.files[index])
        width, height = (int(side) for side in self.columns["sizes"][index])
        if width and height:
            objects.check_extent(self.files[index], image, width, height)
        rows = self._rows(index)
        extra = {name: self.columns[name][rows] for name in self.flags}
        if self.has_area:
            extra["area"] = self.columns["area"][rows]
        boxes, labels = self.columns["boxes"][rows], self.columns["labels"][rows]
        if self.outlines is None:
            return objects.annotated(image, boxes, labels, extra)
        found = [drawable(self.outlines[row], image.width, image.height) for row in range(rows.start, rows.stop)]
        masks = Outlines(tuple(shape for shape, _ in found), image.width, image.height)
        record = objects.annotated(image, boxes, labels, extra, masks)
        faults = [f"object {i} keeps its box alone: {reason}" for i, (_, reason) in enumerate(found, 1) if reason]
        return {**record, NOTE: "; ".join([*filter(None, [record.get(NOTE)]), *faults])} if faults else record

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of image `index`, as annotated or else from the file's header."""
        self._check(index)
        width, height = (int(side) for side in self.columns["sizes"][index])
        return (width, height) if width and height else decode.header_extent(self.files[index])

    def name(self, index: int) -> str:
        """Return the file of image `index`."""
        return self.files[index]

    def counts(self, *, outlined: bool = False) -> Int[np.ndarray, " I"]:
        """Return how many objects, or with `outlined` objects with an outline, each image has; no image is read."""
        starts = self.columns["starts"]
        if not outlined:
            return np.diff(starts)
        if self.outlines is None:
            return np.zeros(len(self), np.int64)
        return np.diff(np.concatenate([[0], np.cumsum(self.outlines.known())])[starts])

    def labels(self) -> Int32[np.ndarray, " N"]:
        """Return the labels of all objects, image by image."""
        return self.columns["labels"]

    def renamed(self, numbers: Sequence[int], category_ids: tuple[int | str, ...] = ()) -> "AnnotatedImages":
        """Return the same images with label i replaced by `numbers[i]`."""
        labels = np.asarray(numbers, np.int32)[self.columns["labels"]]
        return dataclasses.replace(self, columns=self.columns.replaced(labels=labels), category_ids=category_ids)

    def _check(self, index: int) -> None:
        if index in self.faults:
            raise ValueError(self.faults[index])

    def _rows(self, index: int) -> slice:
        starts = self.columns["starts"]
        return slice(int(starts[index]), int(starts[index + 1]))


class AnnotationsBuilder:
    """Collects images and their objects, these in any order; `left_out` names what could not be used."""

    def __init__(self, flags: tuple[str, ...] = ("crowd",)) -> None:
        self.left_out: list[str] = []
        self._files: list[str] = []
        self._ids: list[int | str] = []
        self._sizes, self._images = array("i"), array("q")
        self._boxes, self._labels, self._area = array("d"), array("i"), array("f")
        self._flags: dict[str, array[int]] = {name: array("b") for name in flags}
        self._outlines = OutlineTableBuilder()
        self._faults: dict[int, str] = {}
        self._fractions = 0  # boxes that lie within 0..1

    def image(self, file: str, number: int | str = 0, width: int = 0, height: int = 0) -> int:
        """Add an image.

        Args:
            file: path of the image.
            number: its id in the annotation file.
            width: pixels; 0: unknown, then the file's header is read when it is needed.
            height: pixels, as `width`.

        Returns:
            The image's place among the images, from 0.
        """
        self._files.append(file)
        self._ids.append(number)
        self._sizes.extend((width, height))
        return len(self._files) - 1

    def unreadable(self, file: str, number: int | str, reason: str) -> None:
        """Add an image whose annotation cannot be read, and name it: reading its record raises the reason.

        Args:
            file: path of the image.
            number: its id in the annotation file.
            reason: the message, which begins with the annotation's file.
        """
        self._faults[self.image(file, number)] = reason
        self.left_out.append(reason)

    def file(self, image: int) -> str:
        """Return the path of an image."""
        return self._files[image]

    def size(self, image: int) -> tuple[int, int]:
        """Return (width, height) of an image as it was added."""
        return self._sizes[2 * image], self._sizes[2 * image + 1]

    def object(
        self,
        image: int,
        box: Sequence[Any],
        label: int,
        *,
        outline: Polygons | Runs | None = None,
        area: float = math.nan,
        **flags: bool,
    ) -> str:
        """Add an object.

        Args:
            image: the place of its image.
            box: (x0, y0, x1, y1) in pixels; parts outside the image are clipped when the record is read.
            label: class, from 1.
            outline: the object's mask.
            area: pixels, as the set states it; NaN: not stated.
            **flags: values of the builder's flags; False where not given.

        Returns:
            The reason why the object cannot be used, "" where it was added.
        """
        try:
            corners = [float(value) for value in box]
        except (TypeError, ValueError, OverflowError):
            return f"box {box!r} is not made of numbers"
        if len(corners) != 4:
            return f"box {box!r} has not four numbers"
        if not all(map(math.isfinite, corners)):
            return f"box {_text(corners)} is not finite"
        if max(map(abs, corners)) >= FARTHEST:
            return f"box {_text(corners)} is far outside of any image"
        if corners[2] <= corners[0] or corners[3] <= corners[1]:
            return f"box {_text(corners)} has no area"
        if are_fractions(corners):
            self._fractions += 1
            return f"box {_text(corners)} lies within 0..1: a fraction of the image? Boxes are in pixels"
        self._images.append(image)
        self._boxes.extend(corners)
        self._labels.append(label)
        self._area.append(area)
        for name, column in self._flags.items():
            column.append(bool(flags.get(name, False)))
        self._outlines.add(outline)
        return ""

    def plain(
        self,
        image: int,
        box: tuple[float, float, float, float],
        label: int,
        area: float,
        polygons: Sequence[list[float]],
        *,
        crowd: bool,
    ) -> None:
        """Add an object whose values are known to be usable, as `object` would, in a fraction of its time.

        Args:
            image: the place of its image.
            box: (x0, y0, x1, y1) in pixels, finite and with an area.
            label: class, from 1.
            area: pixels, as the set states it; NaN: not stated.
            polygons: parts of the outline, each x, y, x, y, … of three points or more; () for no outline.
            crowd: the flag of that name, the only one that the builder has.
        """
        self._images.append(image)
        self._boxes.extend(box)
        self._labels.append(label)
        self._area.append(area)
        self._flags["crowd"].append(crowd)
        self._outlines.add_polygons(polygons)

    def leave_out(self, what: str, reason: str) -> None:
        """Note an object, or a part of one, that the set has and the records lack."""
        self.left_out.append(f"{what}: {reason}")

    def build(self, where: str, category_ids: tuple[int | str, ...] = ()) -> AnnotatedImages:
        """Return the images.

        Args:
            where: the annotation file or folder, for the error.
            category_ids: the set's own ids of labels 1, 2, ….

        Raises:
            ValueError: every box lies within 0..1, so that they are fractions of the image and not pixels.
        """
        if self._fractions and not self._labels:
            raise ValueError(
                f"{where}: every box lies within 0..1: are these fractions of the image? Multiply them by its width "
                "and height; boxes are in pixels"
            )
        boxes = np.frombuffer(self._boxes, np.float64).astype(np.float32).reshape(-1, 4)
        images = np.array(self._images, np.int64)
        order = np.argsort(images, kind="stable")
        area = np.array(self._area, np.float32)
        columns: dict[str, np.ndarray] = {
            "sizes": np.array(self._sizes, np.int32).reshape(-1, 2),
            "starts": np.searchsorted(images[order], np.arange(len(self._files) + 1)),
            "boxes": boxes[order],
            "labels": np.array(self._labels, np.int32)[order],
            "area": area[order],
            **{name: np.array(column, np.bool_)[order] for name, column in self._flags.items()},
        }
        return AnnotatedImages(
            tuple(self._files),
            tuple(self._ids),
            SharedArrays(columns),
            tuple(self._flags),
            self._outlines.build(order),
            bool(np.isfinite(area).any()),
            category_ids,
            dict(self._faults),
        )


def are_fractions(box: Sequence[float]) -> bool:
    """Tell whether a box (x0, y0, x1, y1) may be in fractions of the image: it lies within 0..1, but for rounding."""
    return min(box) >= -_ROUNDING and max(box) <= 1 + _ROUNDING


def warn_of_missing_outlines(where: str, records: AnnotatedImages) -> None:
    """Log how many objects of a file or folder have no outline, where some have one."""
    if records.outlines is not None and (lacking := records.outlines.lacking()):
        logging.warning(
            "%s: %d of %d objects have no outline; mask losses ignore them", where, lacking, len(records.outlines)
        )


def _text(box: Sequence[float] | Float32[np.ndarray, "4"]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in box) + ")"
