"""COCO's JSON, taken apart one image, category and annotation at a time, whatever tool wrote it.

Ids may be numbers, their text, or any text; sizes may be missing; an annotation that is not as COCO has it is judged by
itself. A file's annotations are decoded one after the other, so that the tree of a million of them never exists.
"""

import json
import math
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from jaxvision import foreign

Id = int | str


class Sections(NamedTuple):
    """The parts of a file that are used; each item is decoded when it is asked for."""

    images: list[Any]
    categories: list[Any]
    annotations: list[Any]


class _File(msgspec.Struct):
    images: list[msgspec.Raw]
    categories: list[msgspec.Raw] = []
    annotations: list[msgspec.Raw] = []


_DECODER = msgspec.json.Decoder(_File)


def sections(file: pathlib.Path) -> Sections:
    """Read a file.

    Raises:
        ValueError: the file is not JSON, or its "images", "categories" and "annotations" are not lists.
    """
    content = foreign.content(file, foreign.SET).removeprefix(b"\xef\xbb\xbf")
    try:
        parts = _DECODER.decode(content)
        return Sections(parts.images, parts.categories, parts.annotations)
    except (msgspec.MsgspecError, RecursionError):
        pass  # NaN, which Python writes and JSON has not, a field that is null, or something else than COCO's format
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"{file}: not COCO's format: {reason}") from None
    if not isinstance(tree, dict) or "images" not in tree:
        raise ValueError(f"{file}: not COCO's format: it has no list of images{_remedy(tree)}")
    lists = [tree.get(name) or [] for name in Sections._fields]
    for name, items in zip(Sections._fields, lists, strict=True):
        if not isinstance(items, list):
            raise ValueError(f"{file}: {name!r} is not a list")
    return Sections(*lists)


def _remedy(tree: Any) -> str:
    """Tell what else a JSON file is, and what to do about it; "" where that is not known."""
    if not isinstance(tree, dict):
        return ""
    if isinstance(tree.get("shapes"), list):
        return "; it is labelme's, one file an image: --data=labelme:DIR"
    if any(str(name).startswith("_via_") for name in tree) or any(
        isinstance(value, dict) and "regions" in value for value in tree.values()
    ):
        return "; it is a project of the VGG Image Annotator, which exports COCO's: Annotation, Export (COCO format)"
    return ""


class Plain(msgspec.Struct, gc=False):
    """An annotation of the form that nearly all have: numbers where numbers belong, and polygons or no outline."""

    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]  # x, y, width, height
    area: float | None = None
    iscrowd: int = 0
    segmentation: list[list[float]] | None = None


_PLAIN = msgspec.json.Decoder(Plain)


def plain(item: Any) -> Plain | None:
    """Decode an annotation if it has the plain form, several times faster than `item`; None for every other."""
    if not isinstance(item, msgspec.Raw):
        return None
    try:
        return _PLAIN.decode(item)
    except (msgspec.MsgspecError, RecursionError):
        return None


def item(encoded: Any) -> Mapping[str, Any]:
    """Decode an item of a section; one that is no object becomes an empty one."""
    try:
        value = msgspec.json.decode(encoded) if isinstance(encoded, msgspec.Raw) else encoded
    except (msgspec.MsgspecError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def items(section: list[Any]) -> Iterator[Mapping[str, Any]]:
    """Decode the items of a section."""
    return map(item, section)


def identity(value: Any) -> Id | None:
    """Return an id: a whole number, also where it is written as text or as a float, or any other text; None: no id."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value == int(value) else None
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 19 else text or None
    return value if isinstance(value, int) else None


def truth(value: Any) -> bool:
    """Return a flag: also "0", "false" and "" are false."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "0.0", "false", "no", "null", "none")
    return bool(value) and not (isinstance(value, float) and math.isnan(value))


def side(value: Any) -> int:
    """Return an image's width or height in pixels; 0 where it is missing, null, negative or no number."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return 0
    known = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**31
    return int(value) if known else 0


def number(value: Any) -> float:
    """Return a finite number of at least 0, such as an area; NaN for everything else."""
    fine = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**63
    return float(value) if fine else math.nan
