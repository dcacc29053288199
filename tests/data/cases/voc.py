"""VOC's XML as tools and people write it: lists of splits, names of files, boxes, and sizes."""

from functools import partial
from pathlib import Path
from typing import Any

from jaxvision.data.records import Source
from tests.data.cases.case import Case, boxes, draw, names, sizes, text

BOX = [1, 2, 12, 15]
CORNERS = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
PLAIN = CORNERS.format(2, 3, 12, 15)
SIZE = "<size><width>40</width><height>30</height></size>"
HEAD = f"<part><name>head</name>{CORNERS.format(5, 5, 9, 9)}</part>"


def write(
    root: Path,
    first: str = PLAIN,
    *,
    size: str = SIZE,
    items: tuple[str, ...] = ("a", "b", "c"),
    ending: str = ".jpg",
    **lists: str,
) -> None:
    """Write images and their XML, of which the first has the object `first`, and ImageSets/Main/NAME.txt."""
    for item in items:
        draw(root / "JPEGImages" / f"{item}{ending}")
        inside = first if item == items[0] else PLAIN
        thing = f"<object><name>cat</name>{inside}</object>" if inside else ""
        text(
            root / "Annotations" / f"{item}.xml",
            f"<annotation>{size if item == items[0] else SIZE}{thing}</annotation>",
        )
    for name, lines in (lists or {"train": " ".join(items[:2]), "val": items[2]}).items():
        text(root / "ImageSets" / "Main" / f"{name}.txt", lines if "\n" in lines else "\n".join(lines.split()))


def without_xml(root: Path, content: str | None = None) -> None:
    write(root)
    (root / "Annotations" / "a.xml").unlink()
    if content is not None:
        text(root / "Annotations" / "a.xml", content)


def moved(root: Path, folder: str) -> None:
    """Write the lists into another folder."""
    write(root)
    for name in ("train.txt", "val.txt"):
        (root / "ImageSets" / "Main" / name).rename(root / folder / name)


def beside(root: Path) -> None:
    write(root)
    text(root / "JPEGImages" / "a.json", "{}")
    text(root / "JPEGImages" / "a.txt", "0 0.5 0.5 0.1 0.1")


def readable(source: Source) -> list[str]:
    """The names of the training images that can be read."""
    kept = []
    for index in range(len(source["train"])):
        try:
            source["train"][index]
        except ValueError:
            continue
        kept.append(Path(source["train"].name(index)).name)
    return kept


def origins(source: Source) -> dict[str, str]:
    return {name: source.origins[name] for name in ("train", "val")}


def case(name: str, write: Any, look: Any = boxes, found: Any = ..., **more: Any) -> Case:
    return Case(name, "voc:{}", "boxes", write, look, [[BOX]] * 2 if found is ... else found, **more)


def one(*box: int) -> list:
    return [[list(box)], [BOX]]


NOT_B = [[], [BOX]]
CASES = {
    "VOC: lists": (
        case("Train and Validation", partial(write, Train="a b", Validation="c"), sizes, {"train": 2, "val": 1}),
        case("train and valid", partial(write, train="a b", valid="c"), sizes, {"train": 2, "val": 1}),
        case(
            "train and test",
            partial(write, train="a b", test="c"),
            origins,
            {"train": "ImageSets/Main/train.txt", "val": "the test split, ImageSets/Main/test.txt"},
        ),
        case("default", partial(write, default="a b c"), sizes, {"train": 2, "val": 1}),
        case("names with extensions", partial(write, train="a.jpg b.jpg", val="c.jpg"), sizes, {"train": 2, "val": 1}),
        case(
            "blanks in names",
            partial(write, items=("a 1", "b", "c"), train="a 1\nb\n", val="c"),
            names,
            ["a 1.jpg", "b.jpg"],
        ),
        case(
            "a name and its beginning",
            partial(write, items=("img 1", "img", "c"), train="img 1\nimg\n", val="c"),
            names,
            ["img 1.jpg", "img.jpg"],
        ),
        case("flags of a class", partial(write, train="a  1\nb -1\n", val="c"), names, ["a.jpg", "b.jpg"]),
        case("byte order mark, CRLF", partial(write, train="\ufeffa\r\nb\r\n", val="c"), names, ["a.jpg", "b.jpg"]),
        case(
            "paths of Windows",
            partial(write, train="JPEGImages\\a.jpg\nJPEGImages\\b.jpg\n", val="c"),
            names,
            ["a.jpg", "b.jpg"],
        ),
        case(
            "lists in ImageSets",
            partial(moved, folder="ImageSets"),
            origins,
            {"train": "ImageSets/train.txt", "val": "ImageSets/val.txt"},
        ),
        case("lists beside the folders", partial(moved, folder="."), origins, {"train": "train.txt", "val": "val.txt"}),
        case(
            "a folder around it",
            lambda root: write(root / "export", train="a b", val="c"),
            origins,
            {"train": "ImageSets/Main/train.txt", "val": "ImageSets/Main/val.txt"},
        ),
        case(
            "an empty list",
            partial(write, train="a b c", val=""),
            sizes,
            {"train": 2, "val": 1},
            left_out="val.txt: the list is empty",
        ),
        case(
            "an image in both lists",
            partial(write, train="a b", val="b c"),
            lambda source: source.origins["val"],
            "ImageSets/Main/val.txt (1 of its images also in ImageSets/Main/train.txt)",
        ),
    ),
    "VOC: names of files": (
        case("dots", partial(write, items=("a.b", "b", "c")), names, ["a.b.jpg", "b.jpg"]),
        case("upper-case extension", partial(write, ending=".JPG"), names, ["a.JPG", "b.JPG"]),
        case("other files of the name", beside, names, ["a.jpg", "b.jpg"]),
        case(
            "subfolders, .png",
            partial(write, items=("sub/a", "sub/b", "sub/c"), ending=".png"),
            names,
            ["a.png", "b.png"],
        ),
        case("subfolders, .jpg", partial(write, items=("sub/a", "sub/b", "sub/c")), names, ["a.jpg", "b.jpg"]),
        case("no XML", without_xml, readable, ["b.jpg"], left_out=r"a\.xml: No such file"),
        case("empty XML", partial(without_xml, content=""), readable, ["b.jpg"], left_out=r"a\.xml: no element found"),
        case(
            "a blank line before the XML",
            partial(without_xml, content=f'\n<?xml version="1.0"?><annotation>{SIZE}</annotation>'),
            readable,
            ["a.jpg", "b.jpg"],
        ),
        case(
            "XML of another kind",
            partial(without_xml, content="<html/>"),
            readable,
            ["b.jpg"],
            left_out="outermost element is <html>",
        ),
    ),
    "VOC: boxes and sizes": (
        case("no object", partial(write, first=""), found=NOT_B),
        case("drawn from right to left", partial(write, first=CORNERS.format(12, 15, 2, 3))),
        case("one pixel", partial(write, first=CORNERS.format(5, 5, 5, 5)), found=one(4, 4, 5, 5)),
        case("from 0 to the width", partial(write, first=CORNERS.format(0, 0, 40, 30)), found=one(0, 0, 40, 30)),
        case("parts before the box", partial(write, first=HEAD + PLAIN)),
        case(
            "rotated",
            partial(write, first="<robndbox><cx>9</cx></robndbox>"),
            found=NOT_B,
            left_out=r"a\.xml, object 1: has a rotated box only",
        ),
        case(
            "no number",
            partial(write, first=CORNERS.format("x", 1, 2, 3)),
            found=NOT_B,
            left_out="corners x, 1, 2, 3 are not four",
        ),
        case("no size", partial(write, size="")),
        case("a size of 0", partial(write, size="<size><width>0</width><height>0</height></size>")),
    ),
}
