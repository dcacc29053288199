"""The names that tools give to splits, and the lists in which they name a split's images: one reading for every reader.

A split is "train", "val", "test" or "trainval" here, or "all" where a tool exported one set without splitting it.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping

from jaxvision import foreign

_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("trainval", "train_val", "train+val"), "trainval"),
    **dict.fromkeys(("default", "all", "annotations", "result", "_annotations.coco", "labels"), "all"),
}
_PREFIX = re.compile(r"^(instances|annotations|captions|labels)[_-]")
_YEAR = re.compile(r"[_-]?((?:19|20)\d\d)$")
_FLAG = re.compile(r"\s+-?[01]$")  # PASCAL VOC's lists of one class: "000005 -1"


def split_of(name: str) -> str | None:
    """Return the split that a file's or folder's name stands for, or None where it is no name of a split.

    Case, a prefix such as "instances_" and a year do not count: "instances_Train2017" is "train". Give the name without
    its extension.
    """
    plain = _YEAR.sub("", _PREFIX.sub("", name.strip().lower()))
    return _NAMES.get(plain)


def by_split(names: Iterable[str], where: str) -> dict[str, str]:
    """Sort names of files or folders by the splits that they stand for; names of no split are left out.

    Args:
        names: names without extension, such as "Train" or "instances_val2017".
        where: the folder that holds them, for the error.

    Returns:
        For each split its name. Of several that differ in their year only, the last year's.

    Raises:
        ValueError: two names stand for one split, such as "valid" and "validation".
    """
    found: dict[str, str] = {}
    for name in sorted(names):
        split = split_of(name)
        if split is None:
            continue
        if (other := found.get(split)) is not None and _without_year(other) != _without_year(name):
            raise ValueError(f"{where}: {other!r} and {name!r} are both named like the split {split!r}; rename one")
        found[split] = name
    return found


def reference(splits: Collection[str]) -> str:
    """Return the split that decides on a set's classes: the one that is trained on, or else the first there is."""
    return next(name for name in ("train", "all", "trainval", "val", "test") if name in splits)


def folders_by_split(names: Iterable[str], where: str) -> dict[str, str]:
    """Sort names of folders by the splits train, val, test and trainval, as `by_split` does.

    Folders of other names, such as labels/ and annotations/, are no splits, though files of these names stand for one.
    """
    return by_split((name for name in names if split_of(name) not in (None, "all")), where)


def read_list(file: str | os.PathLike, known: Collection[str]) -> list[str]:
    """Read a list file, one image a line, into the names of `known` where they are there.

    A line may have an extension, a folder in front or a class's flag behind, blanks inside, a byte order mark, and
    either kind of line end. A line is taken as it stands first, so "img 1" is never read as "img".

    Args:
        file: the list.
        known: the images' names without extension, "a" or "folder/a".

    Returns:
        A name for each line that is not empty; a line that names no image stays as it is written.
    """
    return [_resolved(line.strip(), known) for line in lines(file) if line.strip()]


def lines(file: str | os.PathLike) -> list[str]:
    """Return the lines of a text file, without a byte order mark; ValueError "file: reason" where it is not UTF-8."""
    try:
        return foreign.content(file, foreign.SET).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{os.fspath(file)}: not a text file in UTF-8: {error.reason}") from None


def _resolved(line: str, known: Collection[str]) -> str:
    """Return the first reading of a line that names an image."""
    unflagged = _FLAG.sub("", line)
    for text in dict.fromkeys((line, unflagged, unflagged.replace("\\", "/"))):
        stem = os.path.splitext(text)[0]
        for name in (text, stem, os.path.basename(text), os.path.basename(stem)):
            if name in known:
                return name
    return unflagged


def _without_year(name: str) -> str:
    return _YEAR.sub("", name)
