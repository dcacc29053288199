"""`coco:DIR`: data annotated in COCO's JSON: boxes, crowds, and instance masks as polygons or run lengths."""

import math
import pathlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging

from jaxvision import foreign
from jaxvision.data import coco_json, outlines, split_names
from jaxvision.data.annotated_images import (
    FARTHEST,
    AnnotatedImages,
    AnnotationsBuilder,
    are_fractions,
    warn_of_missing_outlines,
)
from jaxvision.data.class_numbers import BACKGROUND
from jaxvision.data.coco_json import Id, identity, side
from jaxvision.data.image_files import opened
from jaxvision.data.image_index import ImageIndex
from jaxvision.data.looks_like import or_else
from jaxvision.data.records import Records, Source
from jaxvision.data.specs import argument
from jaxvision.data.splits import source_of

_LAYOUT = (
    "expected DIR/annotations/instances_train2017.json and DIR/train2017/, or one JSON file in DIR and DIR/images/"
)


class Part(NamedTuple):
    """One JSON file: its images, the names of its categories, and what was left out of it."""

    records: AnnotatedImages
    class_names: tuple[str, ...]  # of labels 1, 2, …
    left_out: tuple[str, ...]


def load(spec: str) -> Source:
    """Open `coco:DIR`, laid out as COCO itself or as annotation tools export a set, or `coco:FILE.json`.

    Known are annotations/instances_NAME.json or annotations/NAME.json, NAME/_annotations.coco.json and NAME.json, where
    NAME is a split's (see `split_names`), and a single JSON of any name, whose set has no splits. Labels 1, 2, … follow
    the sorted category ids; the splits' categories are matched by name. An annotation that cannot be used is left out
    and named in the source's `left_out`.

    Raises:
        ValueError: there is nothing to read, an id stands for two things, or a split has a class that training lacks.
    """
    root = opened(pathlib.Path(argument(spec)).expanduser())
    files = _json_files(spec, root)
    parts = {split: _read(file, root if root.is_dir() else root.parent, split) for split, file in files.items()}
    reference = split_names.reference(parts)
    names, ids = parts[reference].class_names, parts[reference].records.category_ids
    splits: dict[str, Records] = {
        split: part.records if split == reference else _matched(files[split], part, names, ids)
        for split, part in parts.items()
    }
    origins = {split: str(file.relative_to(root) if file != root else file.name) for split, file in files.items()}
    left_out = [line for part in parts.values() for line in part.left_out]
    return source_of(splits, (BACKGROUND, *names), origins=origins, left_out=left_out)


def _json_files(spec: str, root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the JSON file of each split; "all" for a set without splits."""
    if root.is_file():
        return {"all": root}
    found = sorted(root.glob("annotations/*.json"))
    instances = [file for file in found if file.stem.lower().startswith("instances")]
    found = instances or [file for file in found if not file.stem.startswith(("captions", "person_keypoints"))]
    found += sorted([*root.glob("*/_annotations.coco.json"), *([] if found else root.glob("*.json"))])
    if len(found) == 1:
        return {split_names.split_of(_split_name(found[0])) or "all": found[0]}
    if not found:
        raise ValueError(f"--data={spec}: no JSON files there; {_LAYOUT}{or_else(root, 'coco')}")
    names = {_split_name(file): file for file in found}
    splits = split_names.by_split(names, str(root))
    if unknown := sorted(str(file) for name, file in names.items() if split_names.split_of(name) is None):
        raise ValueError(
            f"--data={spec}: {unknown[0]} is not named like a split (train, val, test), one of {len(found)} JSON files "
            "there; rename it, or give one file as coco:FILE.json"
        )
    return {split: names[name] for split, name in splits.items()}


def _split_name(file: pathlib.Path) -> str:
    """Return the part of a file's path that names its split: Roboflow's files are all called alike."""
    return file.parent.name if file.name == "_annotations.coco.json" else file.stem


def _read(file: pathlib.Path, root: pathlib.Path, split: str) -> Part:
    """Read the JSON file of a split; ValueError "file: reason" where anything in it is not as COCO has it."""
    with foreign.named(file):
        builder, names, ids = _collected(file, root, split)  # the file's content is given up here
        records = builder.build(str(file), ids)
        warn_of_missing_outlines(str(file), records)
        return Part(records, names, tuple(builder.left_out))


def _collected(
    file: pathlib.Path, root: pathlib.Path, split: str
) -> tuple[AnnotationsBuilder, tuple[str, ...], tuple[Id, ...]]:
    """Return the images and objects of a file, and the names and ids of its categories."""
    parts = coco_json.sections(file)
    categories = _categories(file, parts.categories)
    names = tuple(dict.fromkeys(name for name in categories.values() if name.lower() != BACKGROUND))
    label_of = {number: 1 + names.index(name) for number, name in categories.items() if name in names}
    ids = {name: number for number, name in reversed(categories.items())}
    for number, name in categories.items():
        if name in names and ids[name] != number:
            logging.warning(
                "%s: categories %s and %s are both %r: one class, of the first id", file, ids[name], number, name
            )
    builder, places, index = AnnotationsBuilder(), {}, ImageIndex(root, split)
    folders = _image_folders(file, root)
    for number, image in _images(file, parts.images).items():
        path = index.find(_file_name(image), folders)
        places[number] = builder.image(path, number, side(image.get("width")), side(image.get("height")))
    for item in parts.annotations:
        if not _add_plain(builder, coco_json.plain(item), places, label_of):
            _add_or_name(builder, coco_json.item(item), places, label_of)
    return builder, names, tuple(ids[name] for name in names)


def _categories(file: pathlib.Path, section: list[Any]) -> dict[Id, str]:
    """Return the categories' names by id, in the order of the ids.

    ValueError: an id has two names, or none.
    """
    found: dict[Id, str] = {}
    for item in coco_json.items(section):
        number, name = identity(item.get("id")), str(item.get("name") or "").strip()
        if number is None or not name:
            raise ValueError(f"{file}: a category has no {'name' if number is not None else 'id'}: {dict(item)}")
        if found.setdefault(number, name) != name:
            raise ValueError(f"{file}: category id {number} is both {found[number]!r} and {name!r}; give each its own")
    return dict(sorted(found.items(), key=lambda pair: (isinstance(pair[0], str), pair[0])))


def _images(file: pathlib.Path, section: list[Any]) -> dict[Id, Mapping[str, Any]]:
    """Return the images by id.

    ValueError: there are none, an id is missing or belongs to two files, an image has no file name.
    """
    found: dict[Id, Mapping[str, Any]] = {}
    for item in coco_json.items(section):
        number = identity(item.get("id"))
        if number is None or not isinstance(item.get("file_name"), str) or not item["file_name"]:
            raise ValueError(f"{file}: an image has no {'file_name' if number is not None else 'id'}: {dict(item)}")
        if (other := found.setdefault(number, item))["file_name"] != item["file_name"]:
            raise ValueError(
                f"{file}: image id {number} belongs to {other['file_name']!r} and to {item['file_name']!r}, as in two "
                "exports put together; number the images anew"
            )
    if not found:
        raise ValueError(f"{file}: has no images")
    return found


def _file_name(image: Mapping[str, Any]) -> str:
    """Return an image's file name; Label Studio writes files that it did not import as /data/local-files/?d=FILE."""
    return image["file_name"].rpartition("?d=")[2]


def _add_plain(
    builder: AnnotationsBuilder,
    annotation: coco_json.Plain | None,
    places: Mapping[Id, int],
    label_of: Mapping[Id, int],
) -> bool:
    """Add an annotation of the plain form that nearly all have, and return True; `_add` judges every other."""
    if annotation is None:
        return False
    place, label = places.get(annotation.image_id), label_of.get(annotation.category_id)
    parts = annotation.segmentation or ()
    x, y, width, height = annotation.bbox
    box = (x, y, x + width, y + height)
    if place is None or label is None or width <= 0.0 or height <= 0.0 or not _near(box):
        return False
    for part in parts:
        if len(part) < 6 or len(part) & 1 or not _near(part):
            return False
    if box[2] < 2.0 and box[3] < 2.0 and are_fractions(box):
        return False
    area = math.nan if annotation.area is None else annotation.area
    builder.plain(place, box, label, area, parts, crowd=annotation.iscrowd != 0)
    return True


def _near(coordinates: Sequence[float]) -> bool:
    """Tell whether all coordinates are finite, and together not further away than any image reaches."""
    return math.hypot(*coordinates) < FARTHEST  # four times as fast as the least and the largest


def _add_or_name(
    builder: AnnotationsBuilder, annotation: Mapping[str, Any], places: Mapping[Id, int], label_of: Mapping[Id, int]
) -> None:
    """Add an annotation, or name it, whatever its fields hold."""
    try:
        _add(builder, annotation, places, label_of)
    except Exception as error:
        builder.leave_out(f"annotation {str(annotation.get('id', '?'))[:40]}", foreign.reason(error))


def _add(
    builder: AnnotationsBuilder, annotation: Mapping[str, Any], places: Mapping[Id, int], label_of: Mapping[Id, int]
) -> None:
    """Add an annotation, or name it among what was left out."""
    image = identity(annotation.get("image_id"))
    name = f"annotation {annotation.get('id', '?')}"
    if image is None or image not in places:
        builder.leave_out(name, f"its image_id {annotation.get('image_id')!r} is not among the images")
        return
    place = places[image]
    name = f"{builder.file(place)}, {name}"
    category = identity(annotation.get("category_id"))
    if category is None or category not in label_of:
        builder.leave_out(name, f"its category {annotation.get('category_id')!r} is background, or not defined")
        return
    outline, reason = outlines.read_outline(annotation.get("segmentation"), builder.size(place))
    corners = _corners(annotation.get("bbox"), outline)
    if isinstance(corners, str):
        builder.leave_out(name, corners)
        return
    area, crowd = coco_json.number(annotation.get("area")), coco_json.truth(annotation.get("iscrowd"))
    if fault := builder.object(place, corners, label_of[category], outline=outline, area=area, crowd=crowd):
        builder.leave_out(name, fault)
    elif reason:
        builder.leave_out(name, f"{reason}; its box is kept, without an outline")


def _corners(box: Any, outline: outlines.Polygons | outlines.Runs | None) -> Sequence[Any] | str:
    """Return the corners of a box (x, y, width, height), or of the outline where there is none; else the reason."""
    if box is None or box == []:
        return "has neither a box nor an outline" if outline is None else outline.bounds()
    try:
        if isinstance(box, list) and not any(isinstance(value, bool) for value in box):
            x, y, width, height = map(float, box)  # also numbers that are written as text
            return x, y, x + width, y + height
    except (ValueError, TypeError, OverflowError):
        pass
    return f"its bbox {box!r} is not four numbers (x, y, width, height)"


def _matched(file: pathlib.Path, part: Part, names: tuple[str, ...], ids: tuple[Id, ...]) -> AnnotatedImages:
    """Return a split's images with the labels of the training classes.

    ValueError: objects of a class that these lack.
    """
    unknown = Counter(part.records.labels().tolist())
    lacking = [f"{name} ({unknown[i]} objects)" for i, name in enumerate(part.class_names, 1) if name not in names]
    if any(unknown[i] for i, name in enumerate(part.class_names, 1) if name not in names):
        raise ValueError(f"{file}: has classes that the training split lacks: {', '.join(lacking)}")
    numbers = [0, *(1 + names.index(name) if name in names else 0 for name in part.class_names)]
    return part.records.renamed(numbers, ids)


def _image_folders(file: pathlib.Path, root: pathlib.Path) -> Iterable[pathlib.Path]:
    """Return the folders in which to look for a file's images, the likeliest first."""
    name = _split_name(file)
    plain = name.removeprefix("instances_")
    beside = (root / plain, root / "images" / plain, root / "images", root)
    return dict.fromkeys((*([file.parent] if file.parent.name == name else []), *beside, file.parent / "images"))
