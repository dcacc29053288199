"""PASCAL VOC's XML: the size of an image and the class, box and flag of each object."""

import io
import os
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree

from jaxvision import foreign
from jaxvision.data.coco_json import side

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class Item(NamedTuple):
    """One object, or the reason why it cannot be used."""

    name: str  # class
    box: tuple[float, float, float, float]  # (x0, y0, x1, y1) in pixels, continuous
    difficult: bool  # True for an object that evaluation ignores
    fault: str = ""  # "": the object can be used


class Annotation(NamedTuple):
    """The content of one file."""

    file_name: str  # of the image, as the file has it; "" where it has none
    width: int  # of the image in pixels; 0 where the file lacks it
    height: int  # of the image in pixels; 0 where the file lacks it
    items: tuple[Item, ...]


def read_annotation(file: str | os.PathLike) -> Annotation:
    """Read one XML file.

    VOC counts pixels from 1 and includes the last: (xmin, ymin, xmax, ymax) becomes (xmin - 1, ymin - 1, xmax, ymax),
    so that a box of one pixel has an area. Corners that were drawn from right to left or upwards are put in order.

    Raises:
        ValueError: "file: reason" where the file is no XML of VOC's, or has a document type (with entities).
    """
    with foreign.named(file):
        return _annotation(file)


def _annotation(file: str | os.PathLike) -> Annotation:
    # Without blank lines in front, which may not stand before an XML declaration.
    content = io.BytesIO(foreign.content(file, foreign.TEXT).lstrip())
    try:
        tree = ElementTree.parse(content, ElementTree.XMLParser(target=_NoDoctype())).getroot()
    except (ElementTree.ParseError, LookupError) as error:  # LookupError: an encoding that is not known
        raise ValueError(str(error)) from None
    if tree.tag.startswith("{"):
        for element in tree.iter():
            element.tag = element.tag.rpartition("}")[2]
    if tree.tag != "annotation":
        raise ValueError(f"{os.fspath(file)}: its outermost element is <{tree.tag}>, not VOC's <annotation>")
    width, height = side(tree.findtext("size/width")), side(tree.findtext("size/height"))
    name = (tree.findtext("filename") or "").strip()
    return Annotation(name, width, height, tuple(_items(tree)))


class _NoDoctype(ElementTree.TreeBuilder):
    """A tree builder that refuses a document type, whose entities can expand without end or name other files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("has a document type (DOCTYPE), which VOC's annotations never have")


def _items(tree: ElementTree.Element) -> Iterator[Item]:
    for element in tree.findall("object"):
        name = (element.findtext("name") or "").strip()
        difficult = (element.findtext("difficult") or "").strip().lower() in ("1", "true")
        box = _box(element)
        if not name:
            yield Item("", (0, 0, 0, 0), difficult, "has no <name>")
        elif isinstance(box, str):
            yield Item(name, (0, 0, 0, 0), difficult, box)
        else:
            yield Item(name, box, difficult)


def _box(element: ElementTree.Element) -> tuple[float, float, float, float] | str:
    """Return an object's own box (its parts have others), or the reason why it has none."""
    box = element.find("bndbox")
    if box is None:
        rotated = any(element.find(name) is not None for name in ("robndbox", "rotated_box", "rbox"))
        return "has a rotated box only; save an upright one" if rotated else "has no <bndbox>"
    texts = [(box.findtext(name) or "").strip() for name in _CORNERS]
    if "" in texts:
        return f"has no <{_CORNERS[texts.index('')]}>"
    try:
        x0, y0, x1, y1 = map(float, texts)
    except ValueError:
        return f"its corners {', '.join(texts)} are not four numbers"
    left, right, top, bottom = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
    fractions = left >= 0 <= top and right <= 1 >= bottom and any(value % 1 for value in (x0, y0, x1, y1))
    return (left, top, right, bottom) if fractions else (left - 1, top - 1, right, bottom)
