"""`voc:DIR`: boxes in the layout of PASCAL VOC, which annotation tools also write.

The layout is Annotations/*.xml, JPEGImages/ and, for the splits, ImageSets/Main/*.txt.
"""

import dataclasses
import io
import os
import pathlib
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image

from jaxvision.data import decode, objects, specs
from jaxvision.data.decode import header_extent
from jaxvision.data.objects import VOC_NAMES
from jaxvision.data.records import Record, Records, Source
from jaxvision.data.splits import source_of

_SPLITS = ("train", "val", "trainval", "test")
_LAYOUT = "expected DIR/Annotations/*.xml and DIR/JPEGImages/, and for splits DIR/ImageSets/Main/train.txt, val.txt, …"


class Annotation(NamedTuple):
    """The content of one XML file."""

    width: int  # of the image in pixels; 0 where the file lacks it
    height: int  # of the image in pixels; 0 where the file lacks it
    names: tuple[str, ...]  # the objects' classes
    boxes: Float32[np.ndarray, "N 4"]  # (x0, y0, x1, y1) in pixels, continuous
    difficult: Bool[np.ndarray, "N"]  # True for an object that evaluation ignores


@dataclasses.dataclass(frozen=True)
class VocImages:
    """Records of one split.

    A record holds image, boxes float32 [N, 4] (x0, y0, x1, y1), labels int32 [N] (from 1) and difficult bool [N].
    """

    root: str  # the folder with Annotations/ and JPEGImages/
    files: tuple[str, ...]  # paths of the images
    annotations: tuple[Annotation | str, ...]  # or the reason why one cannot be read: reading its record raises it
    class_names: tuple[str, ...]  # "background" first

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded."""
        annotation = self._annotation(index)
        image = decode.Encoded(self.files[index])
        if annotation.width and annotation.height:
            objects.check_extent(self.name(index), image, annotation.width, annotation.height)
        labels = np.array([self.class_names.index(name) for name in annotation.names], np.int32)
        return objects.annotated(image, annotation.boxes, labels, {"difficult": annotation.difficult})

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of an image in pixels, from its annotation or else its header."""
        annotation = self._annotation(index)
        known = annotation.width and annotation.height
        return (annotation.width, annotation.height) if known else header_extent(self.files[index])

    def name(self, index: int) -> str:
        """Return the path of an image."""
        return self.files[index]

    def label_map(self, index: int, *, instances: bool = False) -> UInt8[np.ndarray, "H W"]:
        """Return the class of each pixel, or with `instances` the number of its object; 0 is background, 255 ignored.

        Raises ValueError where the image has no PNG in SegmentationClass (or SegmentationObject); most of VOC's have
        none.
        """
        folder = "SegmentationObject" if instances else "SegmentationClass"
        return label_map(os.path.join(self.root, folder, f"{_stem(self.files[index])}.png"))

    def _annotation(self, index: int) -> Annotation:
        annotation = self.annotations[index]
        if isinstance(annotation, str):
            raise ValueError(annotation)
        return annotation


def load(spec: str) -> Source:
    """Read `voc:DIR`, where DIR is one year's folder, such as VOCdevkit/VOC2007, or holds exactly one.

    Splits are the lists in ImageSets/Main: train, val, trainval, test. Without lists, a fixed tenth of all images is
    for validation and the others are for training. Classes are the 20 of VOC if no other occurs, else the sorted names.

    Raises ValueError where there is nothing to read.
    """
    root = root_of(spec, specs.path(spec))
    images = {_stem(name): str(root / "JPEGImages" / name) for name in sorted(os.listdir(root / "JPEGImages"))}
    lists = _lists(root)
    annotations = {item: _annotation_or_reason(root, item) for items in lists.values() for item in items}
    readable = [annotation for annotation in annotations.values() if not isinstance(annotation, str)]
    names = sorted({name for annotation in readable for name in annotation.names})
    if not names:
        raise ValueError(f"--data={spec}: no object in any annotation under {str(root)!r}; {_LAYOUT}")
    class_names = ("background", *(VOC_NAMES if set(names) <= set(VOC_NAMES) else names))
    missing = str(root / "JPEGImages" / "{}.jpg")
    splits: dict[str, Records] = {
        split: VocImages(
            str(root),
            tuple(images.get(item, missing.format(item)) for item in items),
            tuple(annotations[item] for item in items),
            class_names,
        )
        for split, items in lists.items()
    }
    return source_of(splits, class_names)


def read_annotation(file: str | os.PathLike) -> Annotation:
    """Read one XML file.

    VOC counts pixels from 1 and includes the last: (xmin, ymin, xmax, ymax) becomes (xmin - 1, ymin - 1, xmax, ymax). A
    box whose corners coincide in the file is a slip of the mouse and keeps no area.

    Raises ValueError "file: reason" where the file is not in VOC's format or has a document type (with entities).
    """
    try:
        parser = ElementTree.XMLParser(target=_NoDoctype())
        tree = ElementTree.parse(file, parser).getroot()
        width, height = (int(float(tree.findtext(f"size/{side}") or 0)) for side in ("width", "height"))
        items = tree.findall("object")
        corners = [
            [float(_text(item, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")] for item in items
        ]
        boxes = np.array(corners, np.float32).reshape(-1, 4)
        boxes[:, :2] -= (boxes[:, 2:] > boxes[:, :2]).astype(np.float32)
        difficult = np.array([item.findtext("difficult", "0").strip() == "1" for item in items], np.bool_)
        return Annotation(width, height, tuple(_text(item, "name") for item in items), boxes, difficult)
    except (ElementTree.ParseError, ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{os.fspath(file)}: {reason}") from None


def label_map(file: str | bytes, name: str = "") -> UInt8[np.ndarray, "H W"]:
    """Return the palette indices (or grey values) of a segmentation PNG, which are classes; 255 marks ignored pixels.

    `file` is a path, or the PNG's bytes with a `name` for error messages.

    Raises ValueError "name: reason" where the PNG cannot be read or holds colours instead of indices.
    """
    name = name or str(file)
    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
            mode, values = image.mode, np.array(image)
    except Exception as error:  # Pillow raises nearly anything on broken files
        raise ValueError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    if mode not in ("P", "L"):
        raise ValueError(f"{name}: mode {mode}; a label map is a palette or 8-bit grey PNG")
    return values


class _NoDoctype(ElementTree.TreeBuilder):
    """A tree builder that refuses a document type, whose entities can expand without end or name other files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("has a document type (DOCTYPE), which VOC's annotations never have")


def root_of(spec: str, folder: pathlib.Path) -> pathlib.Path:
    """Return the year's folder that `folder` is or holds; ValueError where it holds several or none."""
    years = [
        path.parent for path in sorted([*folder.glob("VOC*/Annotations"), *folder.glob("VOCdevkit/VOC*/Annotations")])
    ]
    if (folder / "Annotations").is_dir():
        years = [folder]
    if len(years) > 1:
        raise ValueError(f"--data={spec}: holds several; say which, like voc:{years[0]}")
    if not years or not (years[0] / "JPEGImages").is_dir():
        raise ValueError(f"--data={spec}: not the layout of VOC; {_LAYOUT}")
    return years[0]


def _lists(root: pathlib.Path) -> dict[str, list[str]]:
    """Return the images of each split; without a train list, "train" is trainval (or all) less val and test."""
    files = {split: root / "ImageSets" / "Main" / f"{split}.txt" for split in _SPLITS}
    lists = {split: _listed(file) for split, file in files.items() if file.is_file()}
    if "train" not in lists:
        everything = sorted(path.stem for path in (root / "Annotations").glob("*.xml"))
        held_out = {*lists.get("val", ()), *lists.get("test", ())}
        lists["train"] = [item for item in lists.get("trainval", everything) if item not in held_out]
    return lists


def _listed(file: pathlib.Path) -> list[str]:
    return [line.split()[0] for line in file.read_text().splitlines() if line.strip()]


def _annotation_or_reason(root: pathlib.Path, item: str) -> Annotation | str:
    try:
        return read_annotation(root / "Annotations" / f"{item}.xml")
    except ValueError as error:
        return str(error)


def _text(item: ElementTree.Element, field: str) -> str:
    text = (item.findtext(field) or "").strip()
    if not text:
        raise ValueError(f"an object without <{field.rpartition('/')[2]}>")
    return text


def _stem(file: str) -> str:
    return os.path.splitext(os.path.basename(file))[0]
