"""`voc:DIR`: boxes in the layout of PASCAL VOC, which annotation tools also write; XML files beside the images, too."""

import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jaxvision.data import specs, voc_layout
from jaxvision.data.annotated_images import AnnotationsBuilder
from jaxvision.data.image_files import opened
from jaxvision.data.looks_like import or_else
from jaxvision.data.objects import VOC_NAMES
from jaxvision.data.records import Records, Source
from jaxvision.data.splits import source_of
from jaxvision.data.voc_layout import Lists
from jaxvision.data.voc_xml import Annotation, read_annotation

BACKGROUND = "background"
_LAYOUT = (
    "expected DIR/Annotations/*.xml and DIR/JPEGImages/, and for splits DIR/ImageSets/Main/train.txt, val.txt, …; or "
    "XML files beside the images"
)


class _Files(NamedTuple):
    """The files of a set."""

    root: pathlib.Path
    images: Mapping[str, list[str]]  # by name without extension, such as "a" or "sub/a"
    xml: Mapping[str, str]  # likewise
    image_folder: pathlib.Path
    xml_folder: pathlib.Path


def load(spec: str) -> Source:
    """Read `voc:DIR`, where DIR is one year's folder, such as VOCdevkit/VOC2007, or holds exactly one.

    Splits are the lists in ImageSets/Main (see `split_names`), or folders train/, valid/ and test/ that hold images
    with their XML. Without either, a fixed tenth of all images is for validation and the others are for training.
    Classes are the 20 of VOC if no other occurs, else the sorted names. An object that cannot be used is left out and
    named in the source's `left_out`; so is an image whose XML is missing or broken, and reading its record raises the
    reason. Where several images have one name, the XML's <filename> says which is meant, else .jpg comes first.

    Raises:
        ValueError: there is nothing to read.
    """
    folder = opened(specs.path(spec))
    files = _files(spec, folder)
    names = sorted(files.xml)
    lists = _lists(files, names)
    left_out = list(lists.notes)
    listed = dict.fromkeys(item for items in lists.splits.values() for item in items)
    annotations = {item: _annotation_or_reason(files, item) for item in listed}
    readable = [annotation for annotation in annotations.values() if isinstance(annotation, Annotation)]
    classes = sorted({item.name for annotation in readable for item in annotation.items if not item.fault})
    classes = [name for name in classes if name.lower() != BACKGROUND]
    if not classes:
        raise ValueError(f"--data={spec}: no object in any annotation under {str(files.root)!r}; {_LAYOUT}")
    class_names = (BACKGROUND, *(VOC_NAMES if set(classes) <= set(VOC_NAMES) else classes))
    label_of = {name: label for label, name in enumerate(class_names) if label}
    splits: dict[str, Records] = {}
    for split, items in lists.splits.items():
        builder = AnnotationsBuilder(flags=("difficult",))
        for item in items:
            _add(builder, files, item, annotations[item], label_of)
        splits[split] = builder.build(str(files.root), tuple(range(1, len(class_names))))
        left_out += builder.left_out
    return source_of(splits, class_names, origins=lists.origins, left_out=tuple(dict.fromkeys(left_out)))


def _files(spec: str, folder: pathlib.Path) -> _Files:
    """Return the files of a set.

    ValueError: the layout is another, or two XML files have one name, and their folders are not those of images.
    """
    root = voc_layout.year_of(spec, folder, "Annotations") or folder
    annotations, images = voc_layout.child(root, "Annotations"), voc_layout.child(root, *voc_layout.IMAGES)
    xml_folder, found = _first((annotations, images, root), ".xml")
    image_folder, pictures = _first((images, annotations, root), "")
    if not found or not pictures:
        raise ValueError(f"--data={spec}: not the layout of VOC; {_LAYOUT}{or_else(folder, 'voc')}")
    xml = {name: paths[0] for name, paths in found.items()}
    if not xml.keys() & pictures.keys():  # in folders of other names, such as xmls/ and photos/
        places: dict[str, str] = {}
        for name, path in xml.items():
            if (other := places.setdefault(os.path.basename(name), path)) != path:
                raise ValueError(f"--data={spec}: {other} and {path} would be of the same images; rename one")
        xml = places
        pictures = {os.path.basename(name): paths for name, paths in pictures.items()}
    return _Files(root, pictures, xml, image_folder, xml_folder)


def _first(folders: Iterable[pathlib.Path | None], extension: str) -> tuple[pathlib.Path, dict[str, list[str]]]:
    """Return the first folder with files of the extension ("": with images) and these files."""
    last = pathlib.Path()
    for last in filter(None, folders):
        if last.is_dir() and (found := voc_layout.named_files(last, extension)):
            return last, found
    return last, {}


def _lists(files: _Files, names: list[str]) -> Lists:
    """Return the images of each split."""
    known = {*files.images, *names}
    if files.image_folder == files.xml_folder and (found := voc_layout.read_splits_of_folders(names)):
        lists = found
    else:
        lists = voc_layout.read_lists(files.root, "Main", known, names)
    if "all annotations" in lists.origins.get("train", "") and (bare := sorted(files.images.keys() - files.xml)):
        lists.notes.append(f"{files.images[bare[0]][0]}: has no XML; {len(bare)} images have none and are not read")
    return lists


def _annotation_or_reason(files: _Files, item: str) -> Annotation | str:
    """Return an image's annotation, or why it cannot be read."""
    try:
        return read_annotation(files.xml.get(item) or files.xml_folder / f"{item}.xml")
    except ValueError as error:
        return str(error)


def _add(
    builder: AnnotationsBuilder,
    files: _Files,
    item: str,
    annotation: Annotation | str,
    label_of: Mapping[str, int],
) -> None:
    """Add an image and its objects; name what cannot be used."""
    if isinstance(annotation, str):
        builder.unreadable(_image(files, item, ""), item, annotation)
        return
    path = _image(files, item, annotation.file_name)
    image = builder.image(path, item, annotation.width, annotation.height)
    for other in files.images.get(item, ()):
        if other != path:
            builder.leave_out(other, f"not read, since {path} has the same annotation")
    for number, thing in enumerate(annotation.items, 1):
        fault = thing.fault
        if not fault and thing.name not in label_of:
            fault = f"its class {thing.name!r} is the background"
        if fault := fault or builder.object(image, thing.box, label_of[thing.name], difficult=thing.difficult):
            builder.leave_out(f"{files.xml[item]}, object {number}", fault)


def _image(files: _Files, item: str, file_name: str) -> str:
    """Return the path of an image; where there is none, the path that VOC would have, for the message."""
    paths = files.images.get(item, ())
    named = [path for path in paths if os.path.basename(path) == os.path.basename(file_name.replace("\\", "/"))]
    return next(iter((*named, *paths)), str(files.image_folder / f"{item}.jpg"))
