"""Folders, lists and data.yaml of sets in YOLO's format: which images each split has, and the classes' names."""

import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import yaml

from jaxvision import foreign
from jaxvision.data import split_names
from jaxvision.data.image_files import Names, images_below, is_folder, is_image
from jaxvision.data.looks_like import or_else

LAYOUT = (
    "expected DIR/data.yaml (or obj.names, classes.txt) with images/train and labels/train, or train/images and "
    "train/labels, or text files beside the images"
)
_SPLITS = ("train", "val", "test")
_DESCRIPTION = 2**18  # the most bytes of data.yaml; PyYAML reads some 50,000 a second
_LISTS = (*("obj.names", "classes.txt", "labels.txt"), *("labels/classes.txt", "data/obj.names", "train/classes.txt"))


class Layout(NamedTuple):
    """The files of a set."""

    root: pathlib.Path
    names: Mapping[int, str]  # class names by class number, ascending
    splits: dict[str, list[str]]  # paths of each split's images
    origins: dict[str, str]  # for each split the folder or list that names its images
    left_out: list[str]  # a line for each split that data.yaml names and that is not there
    keypoints: bool  # True where lines go on with key points behind the box


def find(spec: str, path: pathlib.Path) -> Layout:
    """Find the files of a set.

    The splits are those of data.yaml (folders or lists of images; paths of another machine are found by their ends); of
    lists train.txt, val.txt; of folders images/train, train/images or train; or CVAT's obj_train_data. A set without
    splits has its images in images/ or anywhere below the folder.

    Args:
        spec: the value of --data, for errors.
        path: the set's folder, or its data.yaml.

    Returns:
        The layout.

    Raises:
        ValueError: there are no images or no names of classes, data.yaml cannot be read, or its training images are
            missing.
    """
    if not path.exists():
        raise ValueError(f"--data={spec}: no folder {str(path)!r}; {LAYOUT}")
    with foreign.named(path):
        return _found(spec, path)


def _found(spec: str, path: pathlib.Path) -> Layout:
    root = path if path.is_dir() else path.parent
    file = path if path.is_file() else _description(spec, root)
    described = _read(file) if file else {}
    names = _names(spec, root, described)
    left_out: list[str] = []
    listed = _described(spec, root, file, described, left_out) if file else {}
    found = listed or _lists(root) or _folders(root)
    splits = {split: [name for place in places for name in _images(place, root)] for split, places in found.items()}
    splits = {split: files for split, files in splits.items() if files}
    if not splits:
        raise ValueError(f"--data={spec}: no images under {str(root)!r}; {LAYOUT}{or_else(root, 'yolo')}")
    origins = {split: ", ".join(os.path.relpath(place, root) for place in found[split]) for split in splits}
    return Layout(root, names, splits, origins, left_out, "kpt_shape" in described)


class LabelFiles:
    """The text files of images, whose folders are listed once each."""

    def __init__(self) -> None:
        self._folders: dict[str, list[str]] = {}  # of the text files, for each folder of images
        self._names = Names()

    def find(self, image: str) -> str | None:
        """Return an image's file: in labels/ where the image is in images/, or beside it; None: it has none."""
        folder, name = os.path.split(image)
        text = os.path.splitext(name)[0] + ".txt"
        places = self._folders.get(folder)
        if places is None:
            places = self._folders[folder] = _label_folders(folder)
        return next((os.path.join(place, text) for place in places if text in self._names.of(place)), None)


def _label_folders(images: str) -> list[str]:
    """Return the folders in which the text files of a folder's images may lie, the likeliest first."""
    above = images.split(os.sep)
    last = max((i for i, part in enumerate(above) if part.lower() == "images"), default=-1)
    others = [[*above[:last], labels, *above[last + 1 :]] for labels in ("labels", "Labels")] if last >= 0 else []
    return [*(os.sep.join(parts) for parts in others), images]


def _description(spec: str, root: pathlib.Path) -> pathlib.Path | None:
    """Return the YAML file of a folder; ValueError: there are several and none is called data.yaml."""
    files = sorted(file for file in root.glob("*.y*ml") if file.suffix in (".yaml", ".yml"))
    preferred = [file for file in files if file.stem.lower() in ("data", "dataset")] or files
    if len(preferred) > 1:
        raise ValueError(f"--data={spec}: holds {preferred[0].name} and {preferred[1].name}; say which: yolo:FILE.yaml")
    return preferred[0] if preferred else None


def _read(file: pathlib.Path) -> dict[str, Any]:
    """Read a YAML file with every value as the text it is, so that a class may be called "no" or "1"."""
    with foreign.named(file):
        text = foreign.content(file, _DESCRIPTION)
        try:
            content = yaml.load(text.decode("utf-8-sig"), yaml.BaseLoader)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"not YAML: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file}: has no names of classes; expected a line names: [cat, dog]")
    return content


def _names(spec: str, root: pathlib.Path, described: Mapping[str, Any]) -> dict[int, str]:
    """Return the classes' names by number, from data.yaml or a file with one name a line."""
    names = described.get("names")
    listed: dict[int, Any] = {}
    if isinstance(names, list):
        listed = dict(enumerate(names))
    elif isinstance(names, dict) and all(isinstance(key, str) and key.isdecimal() and len(key) < 10 for key in names):
        listed = {int(key): names[key] for key in sorted(names, key=int)}
    if wrong := [number for number, name in listed.items() if not isinstance(name, str)]:
        raise ValueError(f"--data={spec}: the name of class {wrong[0]} is no text; {LAYOUT}")
    if listed:
        return listed
    for file in (root / name for name in _LISTS):
        if file.is_file():
            lines = [line.strip() for line in split_names.lines(file)]
            return {number: line for number, line in enumerate(lines) if line}
    raise ValueError(f"--data={spec}: the classes have no names; {LAYOUT}")


def _described(
    spec: str, root: pathlib.Path, file: pathlib.Path, described: Mapping[str, Any], left_out: list[str]
) -> dict[str, list[pathlib.Path]]:
    """Return the folders and lists that data.yaml names for each split; what is missing goes into `left_out`."""
    found: dict[str, list[pathlib.Path]] = {}
    keys = {split_names.split_of(key) or "": key for key in described if isinstance(key, str)}
    base = described.get("path", "")
    for split in (split for split in _SPLITS if keys.get(split)):
        value = described[keys[split]]
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str) or not text.strip():
                continue
            place = _existing(root, (base if isinstance(base, str) else "", ""), text.strip())
            if place is not None:
                found.setdefault(split, []).append(place)
            elif split == "train":
                raise ValueError(f"--data={spec}: {file.name} says {keys[split]}: {text}, which is not there")
            else:
                left_out.append(f"{file}: {keys[split]}: {text} is not there")
    return found


def _existing(root: pathlib.Path, bases: Iterable[str], text: str) -> pathlib.Path | None:
    """Return the file or folder that a path stands for, which another machine may have written; None: not there."""
    text = text.replace("\\", "/")
    for base in bases:
        if (path := root / base / text).exists():
            return path
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    ends = (root.joinpath(*parts[first:]) for first in range(len(parts)))
    return next((path for path in ends if path.exists()), None)


def _lists(root: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Return the lists of images, train.txt and so on."""
    names = {file.stem: file for file in root.glob("*.txt") if split_names.split_of(file.stem) not in (None, "all")}
    return {split: [names[name]] for split, name in split_names.by_split(names, str(root)).items()}


def _folders(root: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Return the folder of each split's images; "all" for a set without splits."""
    images = next((folder for folder in _below(root).values() if folder.name.lower() == "images"), root)
    cvat = {name[4:-5]: folder for name, folder in _below(root).items() if name[:4] == "obj_" and name[-5:] == "_data"}
    for folders in (_below(images), _below(root), cvat):
        named = {name: folder for name, folder in folders.items() if split_names.split_of(name) not in (None, "all")}
        if splits := split_names.by_split(named, str(root)):
            return {split: [named[name]] for split, name in splits.items()}
    return {"all": [images]}


def _below(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the folders directly in a folder by their names, sorted."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {name: folder / name for name in sorted(entry.name for entry in entries if is_folder(entry))}


def _images(place: pathlib.Path, root: pathlib.Path) -> list[str]:
    """Return the images of a folder, those of its images/ if it has one; or of a list."""
    if place.is_dir():
        inner = next((folder for folder in _below(place).values() if folder.name.lower() == "images"), place)
        return images_below(str(inner))
    if is_image(place.name):
        return [str(place)]
    lines = [line.strip() for line in split_names.lines(place)]
    beside = f"{place.parent}{os.sep}"
    bases = (os.path.relpath(place.parent, root), "")
    return [_listed_image(root, bases, beside, line) for line in lines if line]


def _listed_image(root: pathlib.Path, bases: Iterable[str], beside: str, line: str) -> str:
    """Return the path of an image that a list names: beside the list, as most are, or as `_existing` finds it."""
    path = os.path.normpath(beside + line.removeprefix("./"))
    return path if os.path.isfile(path) else str(_existing(root, bases, line) or root / line)
