"""Label maps in colours, as CVAT exports them, with a list that gives the colour of each class."""

import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from jaxvision import foreign
from jaxvision.data import image_bytes, split_names
from jaxvision.data.label_png import UNLABELLED, label_map

_LISTS = {"labelmap.txt": "NAME:R,G,B", "label_colors.txt": "R G B NAME"}  # what a line of each begins with
_IGNORED = "ignored"  # the list's name for pixels that do not count


class Colours(NamedTuple):
    """The classes of a set and their colours."""

    names: tuple[str, ...]  # of the classes
    values: tuple[tuple[int, int, int], ...]  # RGB of each class, and behind them of pixels that do not count
    list_name: str  # of the file that lists them


def read_colours(root: pathlib.Path) -> Colours | None:
    """Read the list of colours of a set; None where it has none.

    DIR/labelmap.txt has a line "NAME:R,G,B:parts:actions" for each class, DIR/label_colors.txt a line "R G B NAME".

    Raises ValueError where a line has no colour, or two names or colours are alike.
    """
    file = next((root / name for name in _LISTS if (root / name).is_file()), None)
    if file is None:
        return None
    found: dict[str, tuple[int, int, int]] = {}
    for line in split_names.lines(file):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            if file.name == "labelmap.txt":
                name, colour = (field.strip() for field in line.split(":")[:2])
            else:
                *numbers, name = line.split(maxsplit=3)
                name, colour = name.strip(), ",".join(numbers)
            red, green, blue = map(int, colour.split(","))
            bytes((red, green, blue))
        except ValueError:  # also of a value that is no byte
            raise ValueError(f"{file}: {line!r} is not {_LISTS[file.name]}") from None
        if name in found or (red, green, blue) in found.values():
            raise ValueError(f"{file}: {line!r} repeats a name or a colour")
        found[name] = red, green, blue
    names = tuple(name for name in found if name != _IGNORED)
    if not 2 <= len(names) <= UNLABELLED:
        raise ValueError(f"{file}: has {len(names)} classes; it needs 2 to {UNLABELLED}")
    ignored = [found[_IGNORED]] if _IGNORED in found else []
    return Colours(names, (*(found[name] for name in names), *ignored), file.name)


def coloured_label_map(file: str, colours: Colours) -> UInt8[np.ndarray, "H W"]:
    """Return the class of each pixel of a label map by its colour; a grey image holds classes as it is.

    Args:
        file: path of the label map.
        colours: the classes' colours.

    Raises:
        ValueError: "file: reason" where the file cannot be read, is a JPEG, or has another colour.
    """
    with foreign.named(file), image_bytes.opened(image_bytes.read(file)) as image:
        coloured = image.format in ("PNG", "BMP", "TIFF", "GIF") and image.mode in ("RGB", "RGBA", "P")
        pixels = np.asarray(image.convert("RGB")).astype(np.int32) if coloured else None
    if pixels is None:
        return label_map(file)
    numbers = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    known = np.array([red << 16 | green << 8 | blue for red, green, blue in colours.values])
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known[order], numbers), len(known) - 1)
    if (wrong := known[order][place] != numbers).any():
        other = ", ".join(map(str, pixels[wrong][0]))
        raise ValueError(f"{file}: has the colour {other}, which {colours.list_name} lacks")
    labels = order[place]
    return np.where(labels < len(colours.names), labels, UNLABELLED).astype(np.uint8)
