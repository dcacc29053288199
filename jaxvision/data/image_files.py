"""Image files by their names: in a folder at any depth, of a glob, or a single one."""

import dataclasses
import glob
import os
import pathlib
import re
from collections.abc import Iterator

from jaxvision.data import decode, split_names
from jaxvision.data.records import Record

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
)
# Image formats that Pillow, or an agreement on their range, is missing for.
_OTHER_FORMATS = frozenset(
    (".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng", ".cr2", ".nef", ".arw", ".exr", ".hdr", ".psd", ".svg", ".dcm")
)
# Folders of these names are parts of a set.
PARTS = frozenset(
    ("images", "labels", "masks", "annotations", "image", "label", "mask", "jpegimages", "segmentationclass", "xml")
)
# What archives, network drives and file systems leave beside the folders of the data.
_NOT_DATA = ("__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information")


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """Records of image files without labels, for prediction and for methods that learn from images alone."""

    files: tuple[str, ...]  # paths

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Record:
        return {"image": decode.decode(self.files[index])}

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded."""
        return {"image": decode.Encoded(self.files[index])}

    def name(self, index: int) -> str:
        """Return the path of an image."""
        return self.files[index]


def image_files(pattern: str) -> ImageFiles:
    """Return the images, sorted, of a glob ('photos/*.jpg'), of a folder and all folders in it, or of a single file.

    Raises ValueError where there are none.
    """
    return images_and_others(pattern)[0]


def images_and_others(pattern: str) -> tuple[ImageFiles, list[str]]:
    """Return what `image_files` returns, and the other files, sorted, that the folder or glob names.

    Raises ValueError where there are no images.
    """
    path = pathlib.Path(pattern).expanduser()
    if path.is_file():
        return ImageFiles((str(path),)), []
    if path.is_dir():
        named = [os.path.join(parent, name) for parent, names in walk(str(path)) for name in names]
    else:
        named = [name for name in _expanded(str(path)) if is_image(name) or os.path.isfile(name)]
    images, others = list[str](), list[str]()
    for file in sorted(named):
        (images if is_image(file) else others).append(file)
    if not images:
        known = " ".join(sorted(EXTENSIONS))
        raise ValueError(f"--input={pattern}: no image files there; it is a file, a folder or a quoted glob of {known}")
    return ImageFiles(tuple(images)), others


def is_image(name: str) -> bool:
    """Tell by its name whether a file is an image that can be read."""
    # Files that start with a dot are what operating systems leave beside the real ones (._photo.jpg).
    base = name.rpartition(os.sep)[2]
    _, dot, ending = base.rpartition(".")  # a third of what os.path.splitext takes, which listing big sets notices
    return dot != "" and base[0] != "." and f".{ending.lower()}" in EXTENSIONS


def is_data_folder(name: str) -> bool:
    """Tell whether a folder of this name may hold data: it is not hidden, nor a by-product of an archive."""
    return name[:1] != "." and name not in _NOT_DATA


def is_other_image(name: str) -> bool:
    """Tell by its name whether a file is an image of a format that is not read."""
    return os.path.splitext(name)[1].lower() in _OTHER_FORMATS


def opened(folder: pathlib.Path) -> pathlib.Path:
    """Return the folder of a set: `folder`, or what archives wrap it in, a folder that holds one folder and no more.

    A folder that is called like a split or a part of a set is not opened.
    """
    while folder.is_dir():
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if is_data_folder(entry.name)]
            inner = [entry.name for entry in shown if is_folder(entry)]
        if len(shown) != 1 or not inner or inner[0].lower() in PARTS or split_names.split_of(inner[0]) is not None:
            break
        folder = folder / inner[0]
    return folder


def images_below(folder: str) -> list[str]:
    """Return the sorted paths of the images at any depth of a folder."""
    return sorted(os.path.join(parent, name) for parent, names in walk(folder) for name in names if is_image(name))


def _expanded(pattern: str) -> set[str]:
    """Return the paths that a glob names; its ** stands for every folder once, also where links lead in circles."""
    parts = re.split(r"(?:^|(?<=/))\*\*(?:/|$)", pattern, maxsplit=1)
    if len(parts) == 1:
        return set(glob.glob(pattern))
    before, after = parts
    folders = (parent for base in (glob.glob(before) if before else [os.curdir]) for parent, _ in walk(base))
    relative = (folder if before else os.path.relpath(folder).removeprefix(os.curdir) for folder in folders)
    return {name for folder in relative for name in _expanded(os.path.join(glob.escape(folder), after or "*"))}


def walk(folder: str, seen: set[tuple[int, int]] | None = None) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder at and below `folder` with the names of its files.

    Links to folders are followed; a folder that is reached twice, as by a link to itself, is yielded once. Hidden
    folders are left out. Folders below whose device and inode are in `seen` are left out, too, and those that are
    yielded are added to it.
    """
    seen, waiting = set() if seen is None else seen, [folder]
    seen.add(identity(folder))
    while waiting:
        parent = waiting.pop()
        files, folders = list[str](), list[str]()
        with os.scandir(parent) as entries:
            for entry in entries:
                if not is_folder(entry):
                    files.append(entry.name)
                elif is_data_folder(entry.name) and (below := identity(entry.path)) not in seen:
                    seen.add(below)
                    folders.append(entry.path)
        yield parent, files
        waiting.extend(sorted(folders, reverse=True))


def is_folder(entry: os.DirEntry) -> bool:
    """Tell whether an entry is a folder or leads to one; a link that leads in a circle leads nowhere."""
    try:
        return entry.is_dir()
    except OSError:
        return False


class Names:
    """The names of what lies in folders, each of which is listed once."""

    def __init__(self) -> None:
        self._listed: dict[str, frozenset[str]] = {}

    def of(self, folder: str) -> frozenset[str]:
        """Return the names in a folder; none where it cannot be listed."""
        if folder not in self._listed:
            try:
                self._listed[folder] = frozenset(os.listdir(folder or os.curdir))
            except (OSError, ValueError):  # ValueError: a name that no folder can have
                self._listed[folder] = frozenset()
        return self._listed[folder]


def identity(path: str) -> tuple[int, int]:
    """Return the device and inode of a folder, by which it is known however it is reached."""
    status = os.stat(path)
    return status.st_dev, status.st_ino
