"""Image files found by the names that an annotation file has for them."""

import os
import pathlib
import unicodedata
from collections.abc import Iterable

from jaxvision.data import split_names
from jaxvision.data.image_files import Names, is_image, walk


class ImageIndex:
    """The files below a folder. Directories are listed once each, and all of them only if a name is not found at once.

    A name may have a path in front that is another machine's, so that only its last part is found below the folder.
    Where the images of a split are sought and the split has a folder of its own, other splits' folders are left out,
    which may hold another image of that name.
    """

    def __init__(self, root: pathlib.Path, split: str = "") -> None:
        """Prepare to find images of a split below `root`; "" and "all" for those of a set without splits."""
        self._root, self._split = root, split if split not in ("all", "trainval") else ""
        self._names = Names()
        self._by_name: dict[str, list[str]] | None = None

    def find(self, name: str, folders: Iterable[pathlib.Path]) -> str:
        """Return the path of an image.

        Args:
            name: as the annotation file has it: a file name, or a relative or foreign path.
            folders: where to look first, in this order.

        Returns:
            The path below the first folder that has the name; else of the one file below the root that is called so;
            else the path where it was expected, for the message when it is read.

        Raises:
            ValueError: several files are called so.
        """
        name = name.replace("\\", "/")
        if "/" not in name:  # most names: no path is taken apart
            for folder in map(str, folders):
                if name in self._names.of(folder):
                    return f"{folder}/{name}"
        places = [os.path.join(folder, name) for folder in folders]
        for path in places:
            parent, base = os.path.split(path)
            if base in self._names.of(parent):
                return path
        found = self._called_like(name)
        if self._split and any(self._is_own(folder) for folder in map(str, folders)):
            found = [path for path in found if not self._is_others(path)]
        if len(found) > 1:
            raise ValueError(f"{name}: {found[0]} and {found[1]} are both called so; give the path in the annotations")
        if found:
            return found[0]
        return next((path for path in places if self._names.of(os.path.dirname(path))), places[0])

    def _called_like(self, name: str) -> list[str]:
        """Return the files below the root of a name; else those that differ in case, or in its lack of an extension."""
        plain, below = _plain(name), self._below()
        if plain in below:
            return below[plain]
        folded = plain.casefold()
        keys = [key for key in below if key.casefold() == folded]
        if not keys and not is_image(plain):
            keys = [key for key in below if os.path.splitext(key)[0] == plain]
        return [path for key in keys for path in below[key]]

    def _is_own(self, folder: str) -> bool:
        """Tell whether a folder is there and called like the split."""
        return split_names.split_of(os.path.basename(folder)) == self._split and os.path.isdir(folder)

    def _is_others(self, path: str) -> bool:
        """Tell whether a file lies in a folder that is called like another split."""
        above = os.path.relpath(os.path.dirname(path), self._root).split(os.sep)
        return any(split_names.split_of(part) not in (None, "all", self._split) for part in above)

    def _below(self) -> dict[str, list[str]]:
        if self._by_name is None:
            self._by_name = {}
            for parent, names in walk(str(self._root)):
                for name in sorted(names):
                    if is_image(name):
                        self._by_name.setdefault(_plain(name), []).append(os.path.join(parent, name))
        return self._by_name


def _plain(name: str) -> str:
    """Return the last part of a path, in the one form of its accents that file systems disagree about."""
    return unicodedata.normalize("NFC", os.path.basename(name))
