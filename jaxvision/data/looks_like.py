"""Recognition of a data set's format by the files in its folder, for errors that say which `--data` is meant."""

import itertools
import json
import os
import pathlib
from collections.abc import Callable, Iterator

from jaxvision import foreign
from jaxvision.data import split_names
from jaxvision.data.image_files import is_image, walk

_FOLDERS = 200  # a set is recognised by its first folders; a large one is not listed to the end
_MASKS = ("labels", "label", "masks", "mask", "annotations", "SegmentationClass")


def looks_like(folder: str | os.PathLike, instead_of: str = "") -> str:
    """Return a hint such as "this is a COCO folder: --data=coco:DIR", "" if nothing is recognised.

    Args:
        folder: the folder that could not be read; one that does not exist gives no hint.
        instead_of: the kind of --data that was tried, which is no hint.

    Returns:
        The hint, for an error.
    """
    root = pathlib.Path(folder).expanduser()
    if not root.is_dir():
        return ""
    content = _Content(root)
    for kind, name, matches in _KINDS:
        if kind != instead_of and matches(content):
            return f"this is {name}: --data={kind}:{folder}"
    return ""


def or_else(folder: str | os.PathLike, instead_of: str) -> str:
    """Return the hint of `looks_like` as the end of an error, with "; " in front of it; "" where there is none."""
    hint = looks_like(folder, instead_of)
    return f"; {hint}" if hint else ""


class _Content:
    """The names of files and folders at and below a folder."""

    def __init__(self, root: pathlib.Path) -> None:
        listed = list(itertools.islice(walk(str(root)), _FOLDERS))
        self.files = {os.path.relpath(parent, root).replace(os.sep, "/"): names for parent, names in listed}
        self.root = root

    def below(self, *extensions: str) -> Iterator[str]:
        """Return the paths, relative to the root, of files with one of the extensions."""
        for parent, names in self.files.items():
            for name in names:
                if name.lower().endswith(extensions):
                    yield name if parent == "." else f"{parent}/{name}"

    def start(self, name: str, most: int) -> bytes:
        """Return the first bytes of a file; none where it cannot be read."""
        try:
            with foreign.opened(self.root / name) as stream:
                return stream.read(most)
        except (OSError, ValueError):
            return b""

    def first_json(self) -> dict[str, object]:
        """Return the content of the first small JSON object, {} where there is none."""
        for name in itertools.islice(self.below(".json"), 3):
            try:
                tree = json.loads(foreign.content(self.root / name, 1 << 20))
            except (OSError, ValueError, RecursionError):
                continue
            if isinstance(tree, dict):
                return tree
        return {}


def _is_coco(content: _Content) -> bool:
    for name in itertools.islice(content.below(".json"), 5):
        start = content.start(name, 1 << 16)
        if b'"images"' in start or (b'"annotations"' in start and b'"categories"' in start):
            return True
        if os.path.basename(name).startswith(("instances_", "_annotations.coco")):
            return True
    return False


def _is_labelme(content: _Content) -> bool:
    return "shapes" in content.first_json()


def _is_voc(content: _Content) -> bool:
    return any(b"<annotation" in content.start(name, 1 << 12) for name in itertools.islice(content.below(".xml"), 3))


def _is_yolo(content: _Content) -> bool:
    if any(name in content.files["."] for name in ("data.yaml", "data.yml", "dataset.yaml", "obj.data", "obj.names")):
        return True
    texts = [name for name in content.below(".txt") if os.path.basename(name) not in ("classes.txt", "README.txt")]
    return any(_is_yolo_text(content.start(name, 1 << 12)) for name in texts[:3])


def _is_yolo_text(start: bytes) -> bool:
    """Tell whether a text's first line is a class and at least four fractions."""
    fields = start.partition(b"\n")[0].split()
    try:
        return len(fields) >= 5 and float(fields[0]) >= 0 and all(0 <= float(field) <= 1 for field in fields[1:5])
    except ValueError:
        return False


def _is_masks(content: _Content) -> bool:
    """Tell whether images have a folder of label maps beside theirs, or label maps called *_mask.png."""
    names = {name.lower() for name in _MASKS}
    for parent, files in content.files.items():
        pictures = [name for name in files if is_image(name)]
        if pictures and parent.rpartition("/")[2].lower() in names:
            beside = [other for other in content.files if other.rpartition("/")[0] == parent.rpartition("/")[0]]
            stems = {os.path.splitext(name)[0] for name in pictures}
            return any(
                stems & {os.path.splitext(name)[0] for name in content.files[other]}
                for other in beside
                if other != parent
            )
        if any(name.lower().endswith("_mask.png") for name in pictures):
            return True
    return False


def _is_csv(content: _Content) -> bool:
    return any(True for _ in content.below(".csv"))


def _is_classes(content: _Content) -> bool:
    """Tell whether at least two folders of images lie beside each other, in the root or in a training folder."""
    tops = [name for name in content.files if name != "." and any(map(is_image, content.files[name]))]
    plain = [name for name in tops if "/" not in name or split_names.split_of(name.partition("/")[0]) is not None]
    return len(plain) >= 2


# The first that matches counts: label maps and boxes are told apart from classes by what lies beside the images.
_KINDS: tuple[tuple[str, str, Callable[[_Content], bool]], ...] = (
    ("coco", "a COCO folder", _is_coco),
    ("labelme", "a labelme folder", _is_labelme),
    ("voc", "a VOC folder", _is_voc),
    ("yolo", "a YOLO folder", _is_yolo),
    ("masks", "a folder of label maps", _is_masks),
    ("csv", "a folder with a table", _is_csv),
    ("folder", "a folder of classes", _is_classes),
)
