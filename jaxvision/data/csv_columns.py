"""The columns of CSV files with boxes, told by their headers or, without one, by what the first line holds."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

EXPECTED = (
    "the columns path, x0, y0, x1, y1, class, under these names, filename, xmin, ymin, xmax, ymax, class, or none"
)
_PATHS = ("path", "filename", "file", "image", "imagepath", "filepath", "imagename", "imageid", "img", "imgpath")
_CLASSES = ("class", "label", "classname", "labelname", "category", "categoryname", "name")
_CORNERS = (
    ("x0", "y0", "x1", "y1"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x1", "y1", "x2", "y2"),
    ("left", "top", "right", "bottom"),
    ("bboxxmin", "bboxymin", "bboxxmax", "bboxymax"),
)
_SIDES = (
    *(("x", "y", "w", "h"), ("x", "y", "width", "height"), ("left", "top", "width", "height")),
    *(("xmin", "ymin", "width", "height"), ("bboxx", "bboxy", "bboxwidth", "bboxheight")),
)  # the corner, and the sides of the box
_SIZES = (("imagewidth", "imageheight"), ("imgwidth", "imgheight"), ("width", "height"))  # of the image


class Columns(NamedTuple):
    """Places of the columns in a line, from 0."""

    header: int  # lines before the first box: 1, or 0 without a header
    path: int  # the image
    box: tuple[int, int, int, int]  # x0, y0, x1, y1; or x0, y0, width, height
    sides: bool  # True if the last two are the box's sides
    name: int  # the class
    size: tuple[int, ...]  # of the image's width and height; (): not in the file

    @property
    def least(self) -> int:
        """The least number of columns that a line must have."""
        return 1 + max(self.path, *self.box, self.name, *self.size)


def of(first: Sequence[str]) -> Columns | str:
    """Tell the columns by the first line of a file; the reason, in one line, where they cannot be told."""
    names = {re.sub(r"[^a-z0-9]", "", text.lower()): column for column, text in reversed(list(enumerate(first)))}
    if "regionshapeattributes" in names:
        return (
            "this is a CSV file of the VGG Image Annotator, whose outlines are not read from it; export the project as "
            "COCO (Annotation, Export annotations) and use coco:FILE.json"
        )
    path = next((names[name] for name in _PATHS if name in names), None)
    if path is None:
        return _without_header(first)
    corners = next((group for group in _CORNERS if names.keys() >= set(group)), None)
    box = corners or next((group for group in _SIDES if names.keys() >= set(group)), None)
    label = next((names[name] for name in _CLASSES if name in names), None)
    if box is None or label is None:
        missing = "four columns of a box" if box is None else "column of classes"
        return f"has no {missing} among {', '.join(map(str.strip, first))}; expected {EXPECTED}"
    size = next((group for group in _SIZES if names.keys() >= set(group) and not set(group) & set(box)), ())
    x0, y0, x1, y1 = (names[name] for name in box)
    return Columns(1, path, (x0, y0, x1, y1), corners is None, label, tuple(names[name] for name in size))


def _without_header(first: Sequence[str]) -> Columns | str:
    """Return the columns path, x0, y0, x1, y1, class if the first line holds such."""
    fits = len(first) == 6 and first[0].strip() and all(map(_is_number_or_empty, first[1:5]))
    return Columns(0, 0, (1, 2, 3, 4), False, 5, ()) if fits else f"cannot tell its columns; expected {EXPECTED}"


def _is_number_or_empty(text: str) -> bool:
    try:
        return not text.strip() or math.isfinite(float(text))
    except ValueError:
        return False
