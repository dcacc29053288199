"""`folder:DIR`: images with one sub-folder for each class, or without classes for methods that need images alone."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from jaxvision.data import decode, specs, split_names
from jaxvision.data.image_files import (
    PARTS,
    ImageFiles,
    identity,
    images_below,
    is_data_folder,
    is_folder,
    is_image,
    is_other_image,
    walk,
)
from jaxvision.data.looks_like import or_else
from jaxvision.data.readable import check_readable
from jaxvision.data.records import Record, Records, Source
from jaxvision.data.splits import source_of

_LAYOUT = "expected DIR/CLASS/*.jpg, or DIR/train/CLASS/*.jpg and DIR/val/CLASS/*.jpg"


@dataclasses.dataclass(frozen=True)
class LabelledFiles:
    """Records of image files with one label each."""

    files: tuple[str, ...]  # paths
    labels: Int32[np.ndarray, " N"]  # from 0

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Record:
        return {"image": decode.decode(self.files[index]), "label": int(self.labels[index])}

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded."""
        return {"image": decode.Encoded(self.files[index]), "label": int(self.labels[index])}

    def name(self, index: int) -> str:
        """Return the path of an image."""
        return self.files[index]


class _Folder(NamedTuple):
    """The content of a folder, one level deep."""

    path: str
    images: list[str]  # paths of the images directly in it
    folders: dict[str, str]  # paths of its folders by name, sorted, without hidden ones and those that lead back


def load(spec: str) -> Source:
    """Read `folder:DIR`, in which each folder of images is a class, or train/, val/ and test/ hold such folders.

    Splits may have any of the names that `split_names` knows. A folder with such a name that holds images and no
    folders is a class where it stands beside other classes, and is otherwise ignored with a line in `left_out`. One
    folder around all of it (DIR/dataset/train/…) is opened. Hidden and empty folders and those that archives leave are
    no classes; of links to a folder, the first one counts. Classes are numbered in the order of their sorted names,
    and every class must occur in the training split.

    Raises:
        ValueError: there is no image to read, fewer than two classes, or a class that the training split lacks.
    """
    source = load_any(spec)
    if source.num_classes < 2:
        root = specs.path(spec)
        what = f"one class only, {source.class_names[0]!r}" if source.class_names else "images without folders"
        known = or_else(root, "folder")
        raise ValueError(f"--data={spec}: no classes to learn, since {str(root)!r} holds {what}; {_LAYOUT}{known}")
    return source


def load_any(spec: str) -> Source:
    """Read `folder:DIR` as `load` does, with one class or none, too: for methods that learn from images alone."""
    root = specs.path(spec)
    if not root.is_dir():
        raise ValueError(f"--data={spec}: no folder {str(root)!r}; {_LAYOUT}")
    top, left_out = _opened(str(root)), list[str]()
    splits = _splits(top, left_out)
    source = _classes(spec, root, splits, left_out) if splits is not None else _flat(spec, root, top, left_out)
    for split, records in source.splits.items():
        if split in ("train", "val", "test"):
            check_readable(f"--data={spec}", split, records)
    return source


def _classes(spec: str, root: pathlib.Path, splits: Mapping[str, _Folder], left_out: list[str]) -> Source:
    """Return the source of splits with class folders.

    ValueError: a split has no images, or a class that training lacks, or the folders are parts of another format.
    """
    found = {split: _images_by_class(folder, left_out) for split, folder in splits.items()}
    training = next((found[split] for split in ("train", "trainval") if split in found), None)
    class_names = tuple(
        training if training is not None else sorted({name for item in found.values() for name in item})
    )
    hint = or_else(root, "folder") if any(_plain_parts(classes) for classes in found.values()) else ""
    if hint:
        raise ValueError(f"--data={spec}: the folders {', '.join(class_names)} are no classes{hint}")
    records: dict[str, Records] = {}
    for split, classes in found.items():
        if unknown := sorted(set(classes) - set(class_names)):
            path = os.path.join(splits[split].path, unknown[0])
            raise ValueError(f"--data={spec}: {path} is a class that the training folder lacks")
        if not classes:
            raise ValueError(f"--data={spec}: no images under {splits[split].path!r}; {_LAYOUT}")
        records[split] = _labelled(classes, class_names)
    if "train" not in records and "trainval" in records:
        records["train"], splits = records["trainval"], {**splits, "train": splits["trainval"]}
    origins = {split: os.path.relpath(folder.path, root) for split, folder in splits.items()}
    origins = {split: str(root) if path == "." else f"{path}/" for split, path in origins.items()}
    return source_of(records, class_names, origins=origins, left_out=left_out)


def _flat(spec: str, root: pathlib.Path, top: _Folder, left_out: list[str]) -> Source:
    """Return the source of images that are in no class folders: in the folder itself or in folders of splits.

    ValueError: there are none.
    """
    splits: dict[str, Records] = {}
    origins: dict[str, str] = {}
    for split, name in split_names.folders_by_split(top.folders, top.path).items():
        if files := images_below(top.folders[name]):
            splits[split], origins[split] = ImageFiles(tuple(files)), f"{name}/"
    if top.images and "train" not in splits:
        splits["train"], origins["train"] = ImageFiles(tuple(top.images)), str(root)
    elif top.images:
        left_out.append(f"{top.path}: {len(top.images)} images directly in it are in no split and are not read")
    if not splits:
        raise ValueError(f"--data={spec}: no images under {str(root)!r}; {_LAYOUT}{or_else(root, 'folder')}")
    return source_of(splits, (), origins=origins, left_out=left_out)


def _splits(top: _Folder, left_out: list[str]) -> dict[str, _Folder] | None:
    """Return the folder of each split, or the whole as "train"; None where there are no folders of classes.

    A split's folder holds folders of images. One without is a class if it stands beside other classes.
    """
    named = split_names.folders_by_split(top.folders, top.path)
    if not named:
        return {"train": top} if _has_images(list(top.folders.values())) else None
    inner = {split: _scan(top.folders[name], skip=(top.path,)) for split, name in named.items()}
    real = {split: folder for split, folder in inner.items() if _has_images(list(folder.folders.values()))}
    others = [name for name in top.folders if name not in named.values() and _has_images([top.folders[name]])]
    flat = [named[split] for split, folder in inner.items() if split not in real and folder.images]
    if not real or ("train" not in real and others):
        return {"train": top} if others else None
    for name in (*others, *flat):
        kind = "no split" if name in others else "a split without folders of classes"
        left_out.append(f"{os.path.join(top.path, name)}: {kind}, so its images are not read")
    return real


def _images_by_class(folder: _Folder, left_out: list[str]) -> dict[str, list[str]]:
    """Return the images of each class folder that has any; name folders with other files only, and stray images."""
    found: dict[str, list[str]] = {}
    places = {identity(path): name for name, path in reversed(folder.folders.items())}
    seen = {identity(folder.path), *places}
    for name in sorted(places.values()):
        images, others, unread = list[str](), 0, list[str]()
        for parent, files in walk(folder.folders[name], seen):
            kept = [file for file in files if is_image(file)]
            if len(kept) < len(files):
                others += len(files) - len(kept)
                unread += [f"{parent}{os.sep}{file}" for file in files if is_other_image(file)]
            images += [f"{parent}{os.sep}{file}" for file in kept]
        if images:
            images.sort()
            found[name] = images
            if unread:
                left_out.append(
                    f"{min(unread)}: {len(unread)} images of formats that are not read; save them as JPEG or PNG"
                )
        elif others:
            left_out.append(f"{folder.folders[name]}: {others} files, none of them an image, so it is no class")
    if folder.images and found:
        left_out.append(f"{folder.path}: {len(folder.images)} images directly in it have no class and are not read")
    return found


def _labelled(classes: Mapping[str, list[str]], class_names: Sequence[str]) -> LabelledFiles:
    label_of = {name: label for label, name in enumerate(class_names)}
    counts = [len(files) for files in classes.values()]
    labels = np.repeat(np.array([label_of[name] for name in classes], np.int32), counts)
    return LabelledFiles(tuple(file for files in classes.values() for file in files), labels)


def _opened(path: str) -> _Folder:
    """Return the content of a folder, or of the one folder in it that holds several folders of images or splits.

    There may be several such folders around these, each alone in the other.
    """
    outer = inner = _scan(path)
    while not inner.images and len(inner.folders) == 1:
        if split_names.folders_by_split(inner.folders, inner.path):
            break
        inner = _scan(next(iter(inner.folders.values())), skip=(path, inner.path))
        several = sum(_has_images([below]) for below in inner.folders.values()) > 1
        if not inner.images and (several or split_names.folders_by_split(inner.folders, inner.path)):
            return inner
    return outer


def _scan(path: str, skip: Sequence[str] = ()) -> _Folder:
    """List a folder. Folders that are the same as one of `skip`, by a link, are left out."""
    images, folders = list[str](), dict[str, str]()
    back = {identity(path), *map(identity, skip)}
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if is_folder(entry):
                if is_data_folder(entry.name) and identity(entry.path) not in back:
                    folders[entry.name] = entry.path
            elif is_image(entry.name):
                images.append(entry.path)
    return _Folder(path, images, folders)


def _has_images(folders: Sequence[str]) -> bool:
    """Tell whether any of the folders holds an image, at any depth."""
    return any(is_image(name) for folder in folders for _, names in walk(folder) for name in names)


def _plain_parts(classes: Mapping[str, object]) -> bool:
    """Tell whether classes are called like parts of another format; they are none where `or_else` finds more of it."""
    return any(name.lower() in PARTS for name in classes)
