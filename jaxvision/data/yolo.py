"""`yolo:DIR`: boxes and polygons in text files, one an image, as Darknet, Ultralytics, Roboflow and CVAT write them.

A line is "class cx cy width height" or "class x1 y1 x2 y2 x3 y3 …", the coordinates as fractions of the image.
"""

import math
import os
from collections.abc import Mapping

import numpy as np

from jaxvision.data import decode, specs, split_names, yolo_layout
from jaxvision.data.annotated_images import AnnotatedImages, AnnotationsBuilder, are_fractions, warn_of_missing_outlines
from jaxvision.data.class_numbers import BACKGROUND
from jaxvision.data.image_files import opened
from jaxvision.data.outlines import Polygons
from jaxvision.data.records import Source
from jaxvision.data.splits import source_of

_BEYOND = 0.05  # coordinates may pass 0..1 by this much, as rounding and careless drawing make them; they are clipped


def load(spec: str) -> Source:
    """Open `yolo:DIR`, or `yolo:FILE.yaml`; see `yolo_layout.find` for the layouts.

    An image without a text file has no objects. Labels 1, 2, … follow the class numbers. A line that cannot be used is
    left out and named in the source's `left_out`.

    Raises:
        ValueError: there is nothing to read, the classes have no names, or the coordinates are not fractions.
    """
    layout = yolo_layout.find(spec, opened(specs.path(spec)))
    names = tuple(dict.fromkeys(name for name in layout.names.values() if name.lower() != BACKGROUND))
    label_of = {number: 1 + names.index(name) for number, name in layout.names.items() if name in names}
    ids = tuple(next(number for number, name in layout.names.items() if name == wanted) for wanted in names)
    readers = {split: _Reader(label_of, layout.keypoints) for split in layout.splits}
    root = os.path.join(layout.root, "")
    for split, files in layout.splits.items():
        for file in files:  # relpath takes each apart
            number = file[len(root) :] if file.startswith(root) else os.path.relpath(file, layout.root)
            readers[split].add(file, number)
    if not any(reader.label_files for reader in readers.values()):
        raise ValueError(f"--data={spec}: no image has a text file of labels; {yolo_layout.LAYOUT}")
    if all(reader.beyond and not reader.objects for reader in readers.values()):
        raise ValueError(f"--data={spec}: no line lies within 0..1: coordinates are fractions of the image, not pixels")
    records = {split: reader.build(layout.origins[split], ids) for split, reader in readers.items()}
    left_out = [*layout.left_out, *(line for reader in readers.values() for line in reader.builder.left_out)]
    return source_of(records, (BACKGROUND, *names), origins=layout.origins, left_out=left_out)


class _Reader:
    """Reads the text files of one split."""

    def __init__(self, label_of: Mapping[int, int], keypoints: bool) -> None:
        self.builder = AnnotationsBuilder()
        self.label_files = self.objects = self.beyond = 0
        self._label_of, self._keypoints = label_of, keypoints
        self._files = yolo_layout.LabelFiles()

    def add(self, image: str, number: str) -> None:
        """Add an image and the objects of its text file."""
        try:
            width, height = decode.header_extent(image)
        except ValueError:
            self.builder.image(image, number)  # reading its record says why it is broken
            return
        place = self.builder.image(image, number, width, height)
        file = self._files.find(image)
        if file is None:
            return
        self.label_files += 1
        try:
            lines = split_names.lines(file)
        except (OSError, ValueError) as error:
            self.builder.left_out.append(str(error))
            return
        for line, text in enumerate(lines, 1):
            if text.strip() and (fault := self._add_line(place, text, width, height)):
                self.builder.leave_out(f"{file}, line {line}", fault)

    def build(self, origin: str, ids: tuple[int, ...]) -> AnnotatedImages:
        """Return the images of the split."""
        records = self.builder.build(origin, ids)
        warn_of_missing_outlines(origin, records)
        return records

    def _add_line(self, place: int, text: str, width: int, height: int) -> str:
        """Add the object of a line; return the reason why it cannot be used, or ""."""
        try:
            number, *values = map(float, text.split())
        except ValueError:
            return f"{text.strip()[:60]!r} is not a class number and coordinates"
        if len(values) == 4 and self._add_plain(place, number, values, width, height):
            return ""
        if self._keypoints:
            values = values[:4]
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            return f"{len(values)} coordinates are neither a box (4) nor a polygon of points (6, 8, …)"
        if (label := self._label_of.get(int(number) if number.is_integer() else -1)) is None:
            return f"class {number:g} has no name"
        if not all(map(math.isfinite, values)):
            return "a coordinate is not finite"
        if min(values) < -_BEYOND or max(values) > 1 + _BEYOND:
            self.beyond += 1
            worst = max(values, key=lambda value: abs(value - 0.5))
            return f"{worst:g} is not a fraction of the image (0..1)"
        outline = None
        if len(values) == 4:
            corners = _corners(*values)
        else:
            points = np.clip(np.array(values).reshape(-1, 2), 0, 1)
            outline = Polygons(((points * [[width, height]]).astype(np.float32),))
            corners = (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
        box = [corner * side for corner, side in zip(corners, (width, height, width, height), strict=True)]
        fault = self.builder.object(place, box, label, outline=outline)
        self.objects += not fault
        return fault

    def _add_plain(self, place: int, number: float, values: list[float], width: int, height: int) -> bool:
        """Add a box of which nothing has to be judged, as nearly all are, and return True."""
        label = self._label_of.get(int(number) if number.is_integer() else -1)
        x0, y0, x1, y1 = _corners(*values)
        box = (x0 * width, y0 * height, x1 * width, y1 * height)
        if label is None or not (0.0 <= x0 < x1 <= 1.0 and 0.0 <= y0 < y1 <= 1.0) or are_fractions(box):
            return False
        self.builder.plain(place, box, label, math.nan, (), crowd=False)
        self.objects += 1
        return True


def _corners(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    """Return the corners of a box that is given by its centre and sides."""
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
