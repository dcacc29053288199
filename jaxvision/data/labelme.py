"""`labelme:DIR`: labelme's JSON, one file an image, read as boxes, masks or label maps."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from absl import logging
from jaxtyping import UInt8

from jaxvision import foreign
from jaxvision.data import coco_json, decode, labelme_shapes, objects, specs, split_names
from jaxvision.data.annotated_images import AnnotatedImages, AnnotationsBuilder
from jaxvision.data.class_numbers import ClassNumbers
from jaxvision.data.image_files import EXTENSIONS, is_image, walk
from jaxvision.data.image_index import ImageIndex
from jaxvision.data.looks_like import or_else
from jaxvision.data.outlines import Polygons
from jaxvision.data.records import Record, Records, Source, Subset
from jaxvision.data.splits import source_of

_LAYOUT = "expected JSON files that labelme saved, beside their images or in folders of their own"
_LISTS = ("labels.txt", "classes.txt", "class_names.txt")


@dataclasses.dataclass(frozen=True)
class DrawnLabelMaps:
    """Records of images with the class of every pixel, drawn from the outlines of their objects.

    Records hold image uint8 [H, W, 3] and label_map uint8 [H, W]; of objects that overlap, the later one is on top.
    """

    images: AnnotatedImages

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded."""
        record = self.images.encoded(index)
        return {"image": record["image"], "label_map": _drawn(record)}

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of an image."""
        return self.images.extent(index)

    def name(self, index: int) -> str:
        """Return the path of an image."""
        return self.images.name(index)


def load(spec: str) -> Source:
    """Open `labelme:DIR`, whose JSON files lie at any depth; see `labelme_shapes` for the shapes that are read.

    Folders called train, val and so on are splits. Classes are those of labels.txt, if DIR has one, or else the sorted
    labels of the training images. Images without a JSON file are not read. What cannot be used is left out and named in
    the source's `left_out`.

    Raises:
        ValueError: there is nothing to read, a file lies outside the folders of the splits, or a split has a class that
            training lacks.
    """
    root = specs.path(spec)
    if not root.is_dir():
        raise ValueError(f"--data={spec}: no folder {str(root)!r}; {_LAYOUT}")
    everything = [os.path.join(parent, name) for parent, names in walk(str(root)) for name in names if name[0] != "."]
    files = sorted(file for file in everything if file.lower().endswith(".json"))
    if not files:
        raise ValueError(f"--data={spec}: no JSON files under {str(root)!r}; {_LAYOUT}{or_else(root, 'labelme')}")
    classes = ClassNumbers(_listed(root))
    splits, origins = _by_split(spec, root, files)
    readers = {split: _Reader(ImageIndex(root, split), root, classes) for split in splits}
    for split, members in splits.items():
        for file in members:
            readers[split].add(file)
    if not any(reader.images for reader in readers.values()):
        reason = next(line for reader in readers.values() for line in reader.builder.left_out)
        hint = or_else(root, "labelme")
        raise ValueError(f"--data={spec}: no file of labelme's among {len(files)}: {reason}; {_LAYOUT}{hint}")
    parts = {split: reader.builder.build(origins[split]) for split, reader in readers.items()}
    read = {os.path.normpath(file) for part in parts.values() for file in part.files}
    if unused := sum(is_image(file) and os.path.normpath(file) not in read for file in everything):
        logging.warning("%s: %d images have no JSON file and are not read", spec, unused)
    names, records = classes.settled(parts, origins)
    left_out = [line for reader in readers.values() for line in reader.builder.left_out]
    return source_of(records, names, origins=origins, left_out=left_out)


def load_label_maps(spec: str) -> Source:
    """Open `labelme:DIR` as `load` does, with label maps drawn from the shapes; pixels of no shape are background."""
    source = load(spec)
    splits: dict[str, Records] = {split: _label_maps(records) for split, records in source.splits.items()}
    return dataclasses.replace(source, splits=splits)


class _File(msgspec.Struct):
    """The parts of a file that are read; everything else, such as the image itself, is passed over."""

    shapes: list[Any]
    imagePath: Any = None
    imageWidth: Any = None
    imageHeight: Any = None


_DECODER = msgspec.json.Decoder(_File)


class _Reader:
    """Reads the JSON files of one split."""

    def __init__(self, index: ImageIndex, root: pathlib.Path, classes: ClassNumbers) -> None:
        self.builder = AnnotationsBuilder()
        self.images = 0
        self._index, self._root, self._classes = index, root, classes

    def add(self, file: str) -> None:
        """Add the image of a file and its objects; a file that cannot be read is named among what is left out."""
        try:
            content = _DECODER.decode(foreign.content(file).removeprefix(b"\xef\xbb\xbf"))
        except Exception as error:
            self.builder.leave_out(file, f"not a file of labelme's: {foreign.reason(error)}")
            return
        try:
            self._add(file, content)
        except Exception as error:
            self.builder.leave_out(file, foreign.reason(error))

    def _add(self, file: str, content: _File) -> None:
        self.images += 1
        path = self._image(file, str(content.imagePath or ""))
        width, height = coco_json.side(content.imageWidth), coco_json.side(content.imageHeight)
        place = self.builder.image(path, os.path.relpath(path, self._root), width, height)
        parts, faults = labelme_shapes.read(content.shapes)
        for fault in faults:
            self.builder.leave_out(file, fault)
        for part in parts:
            what = f"{file}, shape {part.number} ({part.label})"
            if label := self._classes.label(part.label):
                outline = Polygons(tuple(part.outlines))
                if fault := self.builder.object(place, outline.bounds(), label, outline=outline):
                    self.builder.leave_out(what, fault)
            else:
                self.builder.leave_out(what, "its label is not in the list of classes")

    def _image(self, file: str, written: str) -> str:
        """Return the image of a JSON file: the path that it holds, or else the image that is called like it."""
        folder, name = os.path.split(file)
        folders = (pathlib.Path(folder), self._root / "images", self._root)
        path = self._index.find(written or name, folders)
        if os.path.isfile(path) and is_image(path):
            return path
        stem = os.path.splitext(name)[0]
        endings = [form for ending in sorted(EXTENSIONS) for form in (ending, ending.upper())]
        same = (self._index.find(stem + ending, folders) for ending in endings)
        return next((other for other in same if os.path.isfile(other)), path)


def _by_split(spec: str, root: pathlib.Path, files: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Sort files by the splits that the folders above them are called like; "all" where none is."""
    splits: dict[str, list[str]] = {}
    folders: dict[str, None] = {}
    for file in files:
        above = [part for part in pathlib.Path(file).relative_to(root).parts[:-1] if _is_split(part)]
        folders |= dict.fromkeys(above[:1])
        splits.setdefault(split_names.split_of(above[0]) or "" if above else "all", []).append(file)
    if "all" in splits and len(splits) > 1:
        raise ValueError(
            f"--data={spec}: {splits['all'][0]} lies in no split's folder, and others do; move it into one"
        )
    origins = split_names.by_split(folders, str(root))
    return splits, {split: origins.get(split, root.name) for split in splits}


def _is_split(name: str) -> bool:
    return split_names.split_of(name) not in (None, "all")


def _listed(root: pathlib.Path) -> list[str]:
    """Return the classes of the list that labelme takes with --labels; [] where there is none."""
    for file in (root / name for name in _LISTS):
        if file.is_file():
            return [line.strip() for line in split_names.lines(file) if line.strip() and line.strip()[0] != "_"]
    return []


def _label_maps(records: Records) -> Records:
    if isinstance(records, Subset):
        return dataclasses.replace(records, parent=_label_maps(records.parent))
    assert isinstance(records, AnnotatedImages)
    return DrawnLabelMaps(records)


def _drawn(record: Record) -> UInt8[np.ndarray, "H W"]:
    """Draw the objects of a record on its background."""
    width, height = decode.extent(record["image"])
    drawn: np.ndarray = np.zeros((height, width), np.uint8)
    shapes = record["masks"].shapes if "masks" in record else ()
    for shape, label in zip(shapes, record["labels"], strict=True):
        drawn[shape.pixels(width, height)] = label
    return drawn
