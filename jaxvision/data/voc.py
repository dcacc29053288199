"""`voc:DIR`: PASCAL VOC, and what annotation tools write like it: Annotations/, JPEGImages/ and ImageSets/Main/."""

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
from jaxvision.data.records import Record, Records, Source, with_val

_SPLITS = ("train", "val", "trainval", "test")
_LAYOUT = "expected DIR/Annotations/*.xml and DIR/JPEGImages/, and for splits DIR/ImageSets/Main/train.txt, val.txt, …"


class Annotation(NamedTuple):
    """One XML file: the image's size (0 where it does not say) and its objects, boxes in continuous coordinates."""

    width: int
    height: int
    names: tuple[str, ...]
    boxes: Float32[np.ndarray, "N 4"]
    difficult: Bool[np.ndarray, "N"]


@dataclasses.dataclass(frozen=True)
class VocImages:
    """Images with boxes float32 [N, 4] (x0, y0, x1, y1), labels int32 [N] (from 1), and difficult bool [N].

    An annotation that could not be read is the reason why, raised where its record is asked for.
    """

    root: str
    files: tuple[str, ...]
    annotations: tuple[Annotation | str, ...]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        found = self._annotation(index)
        image = decode.Encoded(self.files[index])
        if found.width and found.height:
            objects.check_extent(self.name(index), image, found.width, found.height)
        labels = np.array([self.class_names.index(name) for name in found.names], np.int32)
        return objects.annotated(image, found.boxes, labels, {"difficult": found.difficult})

    def extent(self, index: int) -> tuple[int, int]:
        """(width, height), from the annotation where it says."""
        found = self._annotation(index)
        return (found.width, found.height) if found.width and found.height else header_extent(self.files[index])

    def name(self, index: int) -> str:
        return self.files[index]

    def label_map(self, index: int, *, instances: bool = False) -> UInt8[np.ndarray, "H W"]:
        """The class of each pixel, or the number of its object: 0 is background, 255 not to be counted.

        ValueError where the image has no PNG in SegmentationClass (or SegmentationObject), as most in VOC have not.
        """
        folder = "SegmentationObject" if instances else "SegmentationClass"
        return label_map(os.path.join(self.root, folder, f"{_stem(self.files[index])}.png"))

    def _annotation(self, index: int) -> Annotation:
        found = self.annotations[index]
        if isinstance(found, str):
            raise ValueError(found)
        return found


def load(spec: str) -> Source:
    """`voc:DIR`, where DIR is one year's folder, such as VOCdevkit/VOC2007, or holds exactly one.

    Splits are the lists in ImageSets/Main: train, val, trainval, test. Without lists, every annotation is one for
    training, less a fixed tenth for validation. Classes are the 20 of VOC where no other occurs, else the sorted names.
    Raises ValueError where there is nothing to read.
    """
    root = root_of(spec, specs.path(spec))
    images = {_stem(name): str(root / "JPEGImages" / name) for name in sorted(os.listdir(root / "JPEGImages"))}
    lists = _lists(root)
    found = {item: _annotation_or_reason(root, item) for items in lists.values() for item in items}
    names = sorted({name for one in found.values() if not isinstance(one, str) for name in one.names})
    if not names:
        raise ValueError(f"--data={spec}: no object in any annotation under {str(root)!r}; {_LAYOUT}")
    class_names = ("background", *(VOC_NAMES if set(names) <= set(VOC_NAMES) else names))
    missing = str(root / "JPEGImages" / "{}.jpg")
    splits: dict[str, Records] = {
        split: VocImages(
            str(root),
            tuple(images.get(item, missing.format(item)) for item in items),
            tuple(found[item] for item in items),
            class_names,
        )
        for split, items in lists.items()
    }
    return Source(with_val(splits), class_names)


def read_annotation(file: str | os.PathLike) -> Annotation:
    """Reads one XML file; ValueError "file: reason" where it is not VOC's, or has a document type (with entities).

    VOC counts pixels from 1 and includes the last: (xmin, ymin, xmax, ymax) is xmin - 1, ymin - 1, xmax, ymax here. A
    box whose corners coincide as written is a slip of the mouse, and becomes one without area.
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
    """The palette indices of a segmentation PNG, which are its classes; 255 marks the border that does not count.

    `file` may be the PNG's bytes, with a `name` for errors: ValueError "name: reason" where it cannot be read, or holds
    colours instead of indices.
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
    """Refuses a document type: with it come entities, which can expand without end or name other files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("has a document type (DOCTYPE), which VOC's annotations never have")


def root_of(spec: str, folder: pathlib.Path) -> pathlib.Path:
    """The one year's folder that `folder` is or holds; ValueError where there are several, or none."""
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
    """The images of each split. Where there is no train list: those of trainval, or all, less those of val and test."""
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
