"""`folder:DIR`: images with one sub-folder for each class; and lists of image files for prediction."""

import dataclasses
import glob
import os
import pathlib

from jaxvision.data import decode, specs
from jaxvision.data.records import Record, Records, Source
from jaxvision.data.splits import source_of

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm"})

_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_LAYOUT = "expected DIR/CLASS/*.jpg, or DIR/train/CLASS/*.jpg and DIR/val/CLASS/*.jpg"


@dataclasses.dataclass(frozen=True)
class LabelledFiles:
    """Records of image files with one label each."""

    files: tuple[str, ...]  # paths
    labels: tuple[int, ...]  # from 0

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Record:
        return {"image": decode.decode(self.files[index]), "label": self.labels[index]}

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded."""
        return {"image": decode.Encoded(self.files[index]), "label": self.labels[index]}

    def name(self, index: int) -> str:
        """Return the path of an image."""
        return self.files[index]


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """Records of image files without labels, for prediction; see `image_files`."""

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


def load(spec: str) -> Source:
    """Read `folder:DIR`; sub-folders named train, val and test are splits, otherwise each sub-folder is a class.

    Classes are numbered in the order of their sorted names, and every class must occur in the training split.

    Raises ValueError where there is no image to read, or a class that the training split lacks.
    """
    root = specs.path(spec)
    if not root.is_dir():
        raise ValueError(f"--data={spec}: no folder {str(root)!r}; {_LAYOUT}")
    split_folders = {_SPLITS[path.name.lower()]: path for path in _folders(root) if path.name.lower() in _SPLITS}
    if "train" not in split_folders:
        split_folders = {"train": root}
    class_names = tuple(path.name for path in _folders(split_folders["train"]))
    splits: dict[str, Records] = {
        split: _labelled_files(spec, folder, class_names) for split, folder in split_folders.items()
    }
    return source_of(splits, class_names)


def image_files(pattern: str) -> ImageFiles:
    """Return the images, sorted, of a glob ('photos/*.jpg'), of a folder and all folders in it, or of a single file.

    Raises ValueError where there are none.
    """
    path = pathlib.Path(pattern).expanduser()
    if path.is_dir():
        files = _images(path)
    elif path.is_file():
        files = [str(path)]
    else:
        files = sorted(name for name in glob.glob(str(path), recursive=True) if is_image(name))
    if not files:
        known = " ".join(sorted(EXTENSIONS))
        raise ValueError(f"--input={pattern}: no image files there; it is a file, a folder or a quoted glob of {known}")
    return ImageFiles(tuple(files))


def _labelled_files(spec: str, folder: pathlib.Path, class_names: tuple[str, ...]) -> LabelledFiles:
    files_by_class = {path.name: _images(path) for path in _folders(folder)}
    unknown = sorted(set(files_by_class) - set(class_names))
    if unknown:
        raise ValueError(f"--data={spec}: {folder / unknown[0]} is a class that the training folder lacks")
    if not any(files_by_class.values()):
        raise ValueError(f"--data={spec}: no images under {str(folder)!r}; {_LAYOUT}")
    pairs = [(file, class_names.index(name)) for name in sorted(files_by_class) for file in files_by_class[name]]
    files, labels = zip(*pairs, strict=True)
    return LabelledFiles(files, labels)


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: pathlib.Path) -> list[str]:
    files = (os.path.join(parent, name) for parent, _, names in os.walk(folder, followlinks=True) for name in names)
    return sorted(file for file in files if is_image(file))


def is_image(name: str) -> bool:
    """Tell by its name whether a file is an image that can be read."""
    # Files that start with a dot are what operating systems leave beside the real ones (._photo.jpg).
    return pathlib.Path(name).suffix.lower() in EXTENSIONS and not os.path.basename(name).startswith(".")
