"""Folders and lists of PASCAL VOC's layout, as VOC itself and as annotation tools write them.

The layout is Annotations/ (XML), JPEGImages/, SegmentationClass/ and, for the splits, ImageSets/Main/*.txt or
ImageSets/Segmentation/*.txt. Names of folders are found in any case.
"""

import os
import pathlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from jaxvision.data import split_names
from jaxvision.data.image_files import is_image, walk

IMAGES = ("JPEGImages", "images", "image")


class Lists(NamedTuple):
    """The images of each split, and what the lists have to be told about."""

    splits: dict[str, list[str]]  # names without extension
    origins: dict[str, str]  # for each split the list that it was read from
    notes: list[str]  # a line for each list, or part of one, that is not used


def child(folder: pathlib.Path, *names: str) -> pathlib.Path | None:
    """Return the first folder in `folder` that is called like one of the names, in any case; None: there is none."""
    if not folder.is_dir():
        return None
    folders = {path.name.lower(): path for path in sorted(folder.iterdir(), reverse=True) if path.is_dir()}
    return next((folders[name.lower()] for name in names if name.lower() in folders), None)


def year_of(spec: str, folder: pathlib.Path, name: str) -> pathlib.Path | None:
    """Return the folder that holds a folder `name`: `folder` itself, or the one year in it or in its VOCdevkit.

    Args:
        spec: the value of --data, for the error.
        folder: the folder that it names.
        name: "Annotations" or "SegmentationClass".

    Returns:
        The folder, or None where there is none.

    Raises:
        ValueError: there are several years.
    """
    if child(folder, name):
        return folder
    years = sorted([*folder.glob("VOC*"), *folder.glob("VOCdevkit/VOC*")])
    years = [year for year in years if child(year, name)]
    if len(years) > 1:
        raise ValueError(f"--data={spec}: holds several; say which, like voc:{years[0]}")
    return years[0] if years else None


def named_files(folder: pathlib.Path, extension: str = "") -> dict[str, list[str]]:
    """Return the files at any depth of a folder by their names without extension, such as "a" or "sub/a".

    Args:
        folder: where to look.
        extension: such as ".xml"; "" for images.

    Returns:
        For each name the paths, a .jpg first of several.
    """
    found: dict[str, list[str]] = {}
    for parent, files in walk(str(folder)):
        below = os.path.relpath(parent, folder).replace(os.sep, "/")
        for file in files:
            stem, ending = os.path.splitext(file)
            if (ending.lower() == extension and stem[:1] != ".") if extension else is_image(file):
                found.setdefault(stem if below == "." else f"{below}/{stem}", []).append(os.path.join(parent, file))
    for paths in found.values():
        paths.sort(key=lambda path: (not path.lower().endswith(".jpg"), path))
    return found


def read_lists(root: pathlib.Path, purpose: str, known: Collection[str], everything: Sequence[str]) -> Lists:
    """Read the lists of the splits in ImageSets.

    Args:
        root: the folder that holds ImageSets.
        purpose: the folder of lists in it: "Main" (boxes) or "Segmentation".
        known: names of images, without extension, that a list may name.
        everything: names of all annotated images, for a set without lists.

    Returns:
        The splits. "train" is, without a list of its own, the list of all (or of "trainval") less "val" and "test".
    """
    folder, files = _list_files(root, purpose)
    splits, origins, notes = dict[str, list[str]](), dict[str, str](), list[str]()
    for split, name in split_names.by_split(files, str(folder)).items():
        listed = split_names.read_list(files[name], known)
        items = list(dict.fromkeys(listed))
        origin = str(files[name].relative_to(root))
        if len(items) < len(listed):
            notes.append(f"{files[name]}: {len(listed) - len(items)} lines name an image a second time")
        if items:
            splits[split], origins[split] = items, origin
        else:
            notes.append(f"{files[name]}: the list is empty, so it makes no split")
    if "train" not in splits and not ("all" in splits and len(splits) == 1):
        basis = next((name for name in ("trainval", "all") if name in splits), "")
        held_out = {item for name in ("val", "test") for item in splits.get(name, ())}
        rest = [item for item in (splits[basis] if basis else everything) if item not in held_out]
        less = [origins[name] for name in ("val", "test") if name in splits]
        if rest:
            splits["train"] = rest
            origins["train"] = " less ".join([origins[basis] if basis else "all annotations", *less])
        splits.pop("all", None)
        origins.pop("all", None)
    return Lists(splits, origins, notes)


def _list_files(root: pathlib.Path, purpose: str) -> tuple[pathlib.Path, dict[str, pathlib.Path]]:
    """Return the folder of the lists, ImageSets/PURPOSE or else ImageSets or the root, and its texts by their names."""
    sets = child(root, "ImageSets")
    own = child(sets, purpose) if sets else None
    for folder in filter(None, (own, sets, root)):
        files = {path.stem: path for path in sorted(folder.glob("*.txt"))}
        found = {split_names.split_of(name) for name in files} - {None}
        if found and (folder == own or found != {"all"}):  # labels.txt beside the folders is no list of images
            return folder, files
    return own or root, {}


def read_splits_of_folders(names: Sequence[str]) -> Lists | None:
    """Return the splits where names begin with a split's folder, such as "train/a" and "valid/b"; None: they do not."""
    tops = dict.fromkeys(name.partition("/")[0] for name in names if "/" in name)
    folders = split_names.folders_by_split(tops, "the folders of the images")
    if "train" not in folders:
        return None
    splits = {split: [name for name in names if name.startswith(f"{folder}/")] for split, folder in folders.items()}
    outside = len(names) - sum(map(len, splits.values()))
    notes = [f"{outside} images are in no split's folder, so they are not read"] if outside else []
    return Lists(splits, {split: f"{folder}/" for split, folder in folders.items()}, notes)
