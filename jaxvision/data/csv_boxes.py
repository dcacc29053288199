"""`csv:FILE` or `csv:DIR`: a box a line, with the path of its image and its class.

See `csv_columns` for the columns. A line without a box is an image without objects.
"""

import csv
import os
import pathlib
import re

from jaxvision import foreign
from jaxvision.data import coco_json, csv_columns, specs, split_names
from jaxvision.data.annotated_images import AnnotatedImages, AnnotationsBuilder
from jaxvision.data.class_numbers import BACKGROUND, ClassNumbers
from jaxvision.data.csv_columns import Columns
from jaxvision.data.image_files import opened
from jaxvision.data.image_index import ImageIndex
from jaxvision.data.looks_like import or_else
from jaxvision.data.records import Source
from jaxvision.data.splits import source_of

_LAYOUT = f"expected DIR/train.csv and DIR/val.csv, or one CSV file, with {csv_columns.EXPECTED}"
_NOT_BOXES = ("classes", "class_mapping", "class_names")  # lists of classes beside the files
_ENDING = re.compile(r"[_-](labels|annotations|boxes|bbox)$")


def load(spec: str) -> Source:
    """Open `csv:FILE`, or `csv:DIR` with a file for each split (train.csv, train_labels.csv, train/_annotations.csv).

    Corners are continuous and in pixels. Classes are the sorted names of the training split. A line that cannot be used
    is left out and named in the source's `left_out`.

    Raises:
        ValueError: there is nothing to read, the columns cannot be told, the boxes are fractions, or a split has a
            class that training lacks.
    """
    path = opened(specs.path(spec))
    files = _files(spec, path)
    classes, root = ClassNumbers(), path if path.is_dir() else path.parent
    builders = {split: AnnotationsBuilder() for split in files}
    for split, file in files.items():
        with foreign.named(file):
            _read(spec, file, ImageIndex(root, split), root, builders[split], classes)
    origins = {split: os.path.relpath(file, root) for split, file in files.items()}
    parts: dict[str, AnnotatedImages] = {split: builder.build(str(files[split])) for split, builder in builders.items()}
    names, records = classes.settled(parts, origins)
    left_out = [line for builder in builders.values() for line in builder.left_out]
    return source_of(records, names, origins=origins, left_out=left_out)


def _files(spec: str, path: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the file of each split; "all" for a single file whose name is no split's."""
    if path.is_file():
        return {"all": path}
    found = {_split_name(file): file for file in sorted([*path.glob("*.csv"), *path.glob("*/_annotations.csv")])}
    found = {name: file for name, file in found.items() if name.lower() not in _NOT_BOXES}
    if not found:
        raise ValueError(f"--data={spec}: no CSV files under {str(path)!r}; {_LAYOUT}{or_else(path, 'csv')}")
    if len(found) == 1:
        ((name, file),) = found.items()
        return {split_names.split_of(name) or "all": file}
    if unknown := [file.name for name, file in found.items() if split_names.split_of(name) in (None, "all")]:
        raise ValueError(
            f"--data={spec}: {unknown[0]} is not named like a split (train, val, test), one of {len(found)} CSV files "
            "there; rename it, or give one file as csv:FILE"
        )
    return {split: found[name] for split, name in split_names.by_split(found, str(path)).items()}


def _split_name(file: pathlib.Path) -> str:
    return file.parent.name if file.stem == "_annotations" else _ENDING.sub("", file.stem.lower())


def _read(
    spec: str,
    file: pathlib.Path,
    index: ImageIndex,
    root: pathlib.Path,
    builder: AnnotationsBuilder,
    classes: ClassNumbers,
) -> None:
    """Read a file's images and boxes into the builder."""
    rows = _rows(file)
    if not rows:
        raise ValueError(f"--data={spec}: {file.name} is empty; {_LAYOUT}")
    columns = csv_columns.of(rows[0][1])
    if isinstance(columns, str):
        raise ValueError(f"--data={spec}: {file.name}: {columns}")
    places = dict[str, int]()
    folders = (
        file.parent,
        file.parent / "images",
        root / file.stem,
        root / "images" / file.stem,
        root / "images",
        root,
    )
    for number, row in rows[columns.header :]:
        where = f"{file}, line {number}"
        if len(row) < columns.least:
            builder.leave_out(where, f"has {len(row)} of {columns.least} columns")
            continue
        name = row[columns.path].strip()
        if not name:
            builder.leave_out(where, "has no path of an image")
            continue
        if name not in places:
            width, height = (coco_json.side(row[column]) for column in columns.size) if columns.size else (0, 0)
            places[name] = builder.image(index.find(name, folders), name, width, height)
        if fault := _add(builder, places[name], row, columns, classes):
            builder.leave_out(f"{where} ({name})", fault)


def _rows(file: pathlib.Path) -> list[tuple[int, list[str]]]:
    """Return a file's lines that are not empty, each with its number; ValueError where it is no CSV file."""
    lines = split_names.lines(file)
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    try:
        return [(number, row) for number, row in enumerate(csv.reader(lines, delimiter=delimiter), 1) if any(row)]
    except csv.Error as error:
        raise ValueError(f"{file}: not a CSV file: {error}") from None


def _add(builder: AnnotationsBuilder, place: int, row: list[str], columns: Columns, classes: ClassNumbers) -> str:
    """Add the object of a line, if it has one; return the reason why it cannot be used, or ""."""
    values, name = [row[column].strip() for column in columns.box], row[columns.name].strip()
    if not any(values):
        return "" if not name or name.lower() == BACKGROUND else f"{name} without a box"
    if not name or name.lower() == BACKGROUND:
        return "a box without a class"
    try:
        x, y, right, bottom = map(float, values)
    except ValueError:
        return f"its box ({', '.join(values)}) is not four numbers"
    box = (x, y, x + right, y + bottom) if columns.sides else (x, y, right, bottom)
    return builder.object(place, box, classes.label(name))
