"""Layouts of images and label maps in folders, and the matching of the two by name."""

import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from jaxvision.data import split_names
from jaxvision.data.image_files import is_image
from jaxvision.data.looks_like import or_else
from jaxvision.data.voc_layout import IMAGES, child, named_files

LAYOUT = "expected DIR/train/images and DIR/train/labels (and val), or DIR/images and DIR/labels, names alike"
_IMAGES = (*IMAGES, "imgs", "img")
_LABELS = ("labels", "label", "masks", "mask", "annotations", "SegmentationClassPNG", "SegmentationClass")
_ENDINGS = ("", "_mask", "_masks", "_label", "_labels", "_L")  # behind the image's name, in that of its label map
_BESIDE = "_mask"  # the ending of label maps that lie beside their images
_LOSSY = (".jpg", ".jpeg", ".jfif")


class Pairs(NamedTuple):
    """The images of a split and, in the same order, their label maps."""

    images: tuple[str, ...]  # paths
    labels: tuple[str, ...]  # paths
    origin: str  # the folder that they were found in
    notes: tuple[str, ...]  # a line for each kind of file that is not used


class _Place(NamedTuple):
    """The folders of the images and of the label maps of a split."""

    images: pathlib.Path
    labels: pathlib.Path  # the same folder where label maps are called NAME_mask.png


def find_pairs(spec: str, root: pathlib.Path) -> dict[str, Pairs]:
    """Find the images and label maps of each split; "train" alone for a set without splits.

    Known are DIR/SPLIT/images + labels, DIR/images/SPLIT + labels/SPLIT, DIR/SPLIT + SPLITannot (as CamVid has it; CVAT
    calls a set without splits default),
    and DIR/images + labels, each with the usual other names of these folders (masks, annotations, JPEGImages and
    SegmentationClass), and label maps called NAME_mask.png beside the images.

    Args:
        spec: the value of --data, for the error.
        root: the folder that it names.

    Raises:
        ValueError: the layout is another, or an image has no label map.
    """
    places = _places(root)
    if not places:
        hint = or_else(root, "masks")
        raise ValueError(f"--data={spec}: no images to train on under {str(root)!r}; {LAYOUT}{hint}")
    return {split: _pairs(spec, place, root) for split, place in places.items()}


def _places(root: pathlib.Path) -> dict[str, _Place]:
    folders = {path.name: path for path in _folders(root)}
    splits = split_names.folders_by_split(folders, str(root))
    named = {split: folders[name] for split, name in splits.items()}
    inner = {split: place for split, path in named.items() if (place := _place(path))}
    beside = {
        split: _Place(path, labels)
        for split, path in named.items()
        if (labels := child(root, f"{path.name}annot", f"{path.name}_annot", f"{path.name}_labels"))
    }
    if not beside and (images := child(root, "default")) and (labels := child(root, "defaultannot")):
        beside = {"train": _Place(images, labels)}
    place = _place(root)
    outer = dict(_outer(place)) if place and place.images != place.labels else {}
    return inner or beside or outer or ({"train": place} if place else {})


def _place(folder: pathlib.Path) -> _Place | None:
    """Return where images and label maps lie in one folder."""
    images, labels = child(folder, *_IMAGES), child(folder, *_LABELS)
    if images:
        return _Place(images, labels or folder / "labels")
    if any(pathlib.Path(name).stem.endswith(_BESIDE) and is_image(name) for name in _names(folder)):
        return _Place(folder, folder)
    return None


def _outer(place: _Place) -> Iterator[tuple[str, _Place]]:
    """Return the splits that are folders in the images' folder, and of the same name in the label maps'."""
    names = [path.name for path in _folders(place.images)]
    for split, name in split_names.folders_by_split(names, str(place.images)).items():
        if labels := child(place.labels, name):
            yield split, _Place(place.images / name, labels)


def _pairs(spec: str, place: _Place, root: pathlib.Path) -> Pairs:
    """Match the images of a folder with their label maps.

    ValueError: there are none, two images would share a map, or one has none.
    """
    images, labels = _files(place.images), _files(place.labels)
    if place.images == place.labels:
        labels = {stem: paths for stem, paths in images.items() if stem.endswith(_BESIDE)}
        images = {stem: paths for stem, paths in images.items() if stem not in labels}
    if not images:
        raise ValueError(f"--data={spec}: no images in {str(place.images)!r}; {LAYOUT}{or_else(root, 'masks')}")
    if twice := [paths for paths in images.values() if len(paths) > 1]:
        raise ValueError(f"--data={spec}: {twice[0][0]} and {twice[0][1]} would share a label map; rename one")
    found = {stem: _label_file(labels, stem) for stem in images}
    if missing := [stem for stem, path in found.items() if not path]:
        ending = _BESIDE if place.images == place.labels else ""
        expected = place.labels / f"{missing[0]}{ending}.png"
        raise ValueError(
            f"--data={spec}: {images[missing[0]][0]} has no {expected}; {len(missing)} of {len(images)} have none"
            f"{or_else(root, 'masks') if len(missing) == len(images) else ''}"
        )
    if lossy := [path for path in found.values() if path.lower().endswith(_LOSSY)]:
        raise ValueError(f"--data={spec}: {lossy[0]}: JPEG does not keep labels; save the label maps as PNG")
    ordered = sorted(images)
    notes = _unused(labels, found.values())
    origin = os.path.relpath(place.images, root)
    return Pairs(
        tuple(images[stem][0] for stem in ordered),
        tuple(found[stem] for stem in ordered),
        str(root) if origin == "." else f"{origin}/",
        notes,
    )


def _label_file(labels: Mapping[str, Sequence[str]], stem: str) -> str:
    """Return the label map of an image, a PNG where there are several files of the name; "": there is none."""
    paths = next((labels[f"{stem}{ending}"] for ending in _ENDINGS if f"{stem}{ending}" in labels), ())
    return next(iter(sorted(paths, key=lambda path: (not path.lower().endswith(".png"), path))), "")


def _unused(labels: Mapping[str, Sequence[str]], used: Iterable[str]) -> tuple[str, ...]:
    kept = set(used)
    lonely = sorted(paths[0] for paths in labels.values() if not kept.intersection(paths))
    return (f"{lonely[0]}: has no image; {len(lonely)} label maps have none",) if lonely else ()


def _files(folder: pathlib.Path) -> dict[str, list[str]]:
    return named_files(folder) if folder.is_dir() else {}


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _names(folder: pathlib.Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []
