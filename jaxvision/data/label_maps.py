"""`masks:DIR`: images with the class of every pixel.

Records hold image uint8 [H, W, 3] and label_map uint8 [H, W], in which 255 marks pixels that losses and metrics ignore.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from jaxvision.data import decode, label_png, mask_layout, objects, specs, split_names
from jaxvision.data.image_files import opened
from jaxvision.data.label_colours import Colours, coloured_label_map, read_colours
from jaxvision.data.label_png import UNLABELLED, label_map
from jaxvision.data.records import Record, Records, Source, label_names
from jaxvision.data.splits import source_of

__all__ = ["UNLABELLED", "LabelledImages", "checked", "class_list", "load"]

_LISTS = ("classes.txt", "class_names.txt")
# The grey values that tools paint two and three classes with, instead of their numbers.
_PAINTED = {2: ((0, 255),), 3: ((0, 128, 255), (0, 127, 255))}
_MANY = 64  # from here on, a largest label with few others below it is taken for a mark of ignored pixels
_MOST = 200  # more classes need a list of their names: soft edges have as many values


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Records of image files, each with a label map, a file whose values are classes."""

    images: tuple[str, ...]  # paths
    labels: tuple[str, ...]  # paths of the label maps
    num_classes: int  # a larger value in a label map is an error
    ignored: int = UNLABELLED  # another value of pixels that are ignored; it becomes 255
    values: tuple[int, ...] = ()  # the files' value of each class where these are not 0, 1, 2, …, such as 0 and 255
    colours: Colours | None = None  # of the classes, where the files hold colours

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded."""
        file, colours = self.labels[index], self.colours
        labels = label_map(file) if colours is None else coloured_label_map(file, colours)
        if self.values:
            labels = label_png.relabelled(labels, self.values, file)
        else:
            labels[labels == self.ignored] = UNLABELLED
        image = decode.Encoded(self.images[index])
        return checked(image, labels, self.num_classes, (self.images[index], file))

    def name(self, index: int) -> str:
        """Return the path of an image."""
        return self.images[index]

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of an image in pixels, from its header."""
        return decode.header_extent(self.images[index])


def load(spec: str) -> Source:
    """Read `masks:DIR`: DIR/train and DIR/val (or DIR alone), each with images/ and labels/ of the same names.

    `mask_layout.find_pairs` says which other layouts are known, and `label_png.label_map` which files. 255, and with
    `masks:DIR,ignore=N` also N, marks ignored pixels. DIR/classes.txt (or class_names.txt) names the classes, one a
    line; without it they are "0", "1", … up to the largest label. Where the maps hold 0 and 255 only, or 0, 128 and
    255, and there are as many names or no names, these values are the classes. With CVAT's labelmap.txt colours are
    classes.

    Raises:
        ValueError: the layout is another, an image has no label map, or there are fewer than two classes.
    """
    root, options = specs.path_and_options(spec, ("ignore",))
    root = opened(root)
    ignored = _label(spec, options.get("ignore", str(UNLABELLED)))
    pairs = mask_layout.find_pairs(spec, root)
    files = [file for found in pairs.values() for file in found.labels]
    names, colours = class_list(root), read_colours(root)
    if colours is not None and not names:
        names = colours.names
    values = () if "ignore" in options or colours is not None else _painted_values(files, len(names))
    if not values and not names:
        names = _numbered(spec, files, ignored)
    elif not values and colours is None:
        _check_labelled(spec, files, ignored)
    names = names or label_names(len(values))
    said = f" (values {', '.join(map(str, values))} are classes 0 to {len(values) - 1})" if values else ""
    splits: dict[str, Records] = {
        split: LabelledImages(found.images, found.labels, len(names), ignored, values, colours)
        for split, found in pairs.items()
    }
    origins = {split: found.origin + said for split, found in pairs.items()}
    notes = [note for found in pairs.values() for note in found.notes]
    return source_of(splits, names, origins=origins, left_out=notes)


def class_list(root: pathlib.Path) -> tuple[str, ...]:
    """Read the class names of a set, one a line of classes.txt or class_names.txt; () where there is none.

    Raises ValueError where there are fewer than 2 names or more than 255, or two alike.
    """
    file = next((root / name for name in _LISTS if (root / name).is_file()), None)
    if file is None:
        return ()
    names = tuple(line.strip() for line in split_names.lines(file) if line.strip())
    names = names[1:] if names[:1] == ("__ignore__",) else names  # labelme's name of what is -1 (255) in the maps
    if not 2 <= len(names) <= UNLABELLED or len(set(names)) < len(names):
        raise ValueError(f"{file}: has {len(names)} names; it needs 2 to {UNLABELLED}, no two alike, one a line")
    return names


def checked(
    image: decode.Encoded, labels: UInt8[np.ndarray, "H W"], num_classes: int, names: tuple[str, str]
) -> Record:
    """Return the record of an image and its label map.

    Args:
        image: not decoded yet.
        labels: the class of each pixel, 255 for ignored ones.
        num_classes: the number of classes.
        names: of the image and of the label map, for errors.

    Raises:
        ValueError: the two differ in size, or a label has no class.
    """
    image_name, labels_name = names
    height, width = labels.shape
    if (width, height) != (image.width, image.height):
        turned = " (it ignores the image's EXIF orientation)" if (height, width) == (image.width, image.height) else ""
        raise ValueError(
            f"{labels_name}: the label map is {width}x{height}, but {image_name} is "
            f"{image.width}x{image.height}{turned}"
        )
    largest = int((labels + np.uint8(1)).max()) - 1  # 255 wraps to 0
    if largest >= num_classes:
        raise ValueError(
            f"{labels_name}: has label {largest}, but there are {num_classes} classes, from 0; "
            "mark what does not count by 255"
        )
    return {"image": image, "label_map": labels}


def _label(spec: str, text: str) -> int:
    if not text.isdecimal() or int(text) > UNLABELLED:
        raise ValueError(f"--data={spec}: ignore={text}: give one label, 0 to {UNLABELLED}")
    return int(text)


def _present(files: Sequence[str], purpose: str) -> Iterable[tuple[set[int], str]]:
    """Yield the values of each label map, or none and the reason why it cannot be read."""
    # A bar only where it takes long, and only on a terminal.
    for file in tqdm(files, purpose, leave=False, delay=3, disable=None, unit="map"):
        try:
            yield set(np.flatnonzero(np.bincount(label_map(file).ravel(), minlength=256)).tolist()), ""
        except ValueError as error:
            yield set(), str(error)


def _painted_values(files: Sequence[str], num_classes: int) -> tuple[int, ...]:
    """Return the grey values that stand for the classes: () where they are 0, 1, 2, … as far as the maps tell.

    Maps are read until one has another value, which for numbered classes is the first.
    """
    painted = [values for count, rows in _PAINTED.items() for values in rows if num_classes in (0, count)]
    seen: set[int] = set()
    if not painted:
        return ()
    for present, _ in _present(files, "values of the label maps"):
        seen |= present
        painted = [values for values in painted if seen <= {*values}]
        if not painted:
            return ()
    return next((values for values in painted if seen == {*values}), ())


def _numbered(spec: str, files: Sequence[str], ignored: int) -> tuple[str, ...]:
    """Return "0", "1", … up to the largest label; files that cannot be read fail when their record is read."""
    seen, reason = set[int](), ""
    for present, fault in _present(files, "largest label"):
        seen |= present
        reason = reason or fault
    labels = sorted(seen - {ignored, UNLABELLED})
    if not labels and reason:
        raise ValueError(reason)
    if not labels or labels[-1] < 1:
        raise ValueError(
            f"--data={spec}: the label maps hold {'one class at most' if labels else 'ignored pixels only'}; "
            f"{UNLABELLED} does not count, so write 0 and 1, not 0 and 255"
        )
    if labels[-1] >= _MOST or (labels[-1] >= _MANY and 2 * len(labels) <= labels[-1]):
        raise ValueError(
            f"--data={spec}: the label {labels[-1]} needs {labels[-1] + 1} classes, but {len(labels)} labels occur; "
            f"did you mean to ignore it (masks:DIR,ignore={labels[-1]})? Otherwise list the classes in DIR/{_LISTS[0]}"
        )
    return label_names(labels[-1] + 1)


def _check_labelled(spec: str, files: Sequence[str], ignored: int) -> None:
    """Check that a label map has a label.

    ValueError: all pixels of all maps are ignored.
    """
    reason = ""
    for present, fault in _present(files, "labels"):
        if present - {ignored, UNLABELLED}:
            return
        reason = reason or fault
    raise ValueError(reason or f"--data={spec}: every pixel of the label maps is ignored; there is nothing to learn")
