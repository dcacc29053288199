"""Reader of label maps: image files whose values are classes, whatever their bit depth, mode or palette."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Integer, UInt8

from jaxvision import foreign
from jaxvision.data import image_bytes
from jaxvision.data.sixteen_bits import layout_of

UNLABELLED = 255  # pixels that losses and metrics ignore
_FORMATS = ("PNG", "TIFF", "BMP", "GIF", "PPM")  # those that keep values as they are
_REMEDY = "a label map is a palette or grey PNG (or TIFF) whose values are the classes' numbers"
# Pillow spreads the values of 2 and 4 bits over 0..255; these are the steps, by the file's layout of pixels.
_STEPS = {"L;2": 85, "L;2R": 85, "L;4": 17, "L;4R": 17}


def label_map(file: str | bytes, name: str = "") -> UInt8[np.ndarray, "H W"]:
    """Return the values of a label map as they are in the file: palette indices or grey values of 1 to 32 bits.

    Images with several channels count as grey where the colours are equal everywhere and the alpha is one value. In a
    file of 16 or 32 bits its largest 16-bit value and -1 mark ignored pixels, as 255 does; of a TIFF of several pages
    the first is read.

    Args:
        file: a path, or the file's bytes.
        name: for error messages about bytes.

    Raises:
        ValueError: "name: reason" where the file cannot be read, does not keep values exactly, holds colours instead
            of numbers, or a value beyond 255.
    """
    name = name or str(file)
    with foreign.named(name), image_bytes.opened(image_bytes.read(file)) as image:
        form, mode, layout = image.format, image.mode, layout_of(image)
        if form not in _FORMATS:
            raise ValueError(f"{form} does not keep labels exactly; {_REMEDY}")
        values = np.array(image)
    if values.ndim == 3:
        if ";16" in layout:  # of which Pillow keeps 8
            raise ValueError(f"{name}: mode {mode} with 16 bits a channel; {_REMEDY}")
        if not _is_grey(mode, values):
            raise ValueError(f"{name}: mode {mode} with colours or transparency; {_REMEDY}")
        values = values[..., 0]
    elif mode not in ("1", "L", "P", "I") and not mode.startswith("I;16"):
        raise ValueError(f"{name}: mode {mode}; {_REMEDY}")
    return _bytes(values // _STEPS[layout] if layout in _STEPS else values, name)


def relabelled(labels: UInt8[np.ndarray, "H W"], values: Sequence[int], name: str) -> UInt8[np.ndarray, "H W"]:
    """Return a label map in which class i stands for `values[i]`.

    Args:
        labels: the map as it is in the file.
        values: the file's value of each class, such as 0 and 255.
        name: for the error message.

    Raises:
        ValueError: the map holds another value.
    """
    table = np.full(256, UNLABELLED, np.uint8)
    table[list(values)] = np.arange(len(values))
    known = np.zeros(256, np.bool_)
    known[list(values)] = True
    if not known[labels].all():
        other = int(labels[~known[labels]][0])
        raise ValueError(f"{name}: has the value {other}, but the classes' values are {', '.join(map(str, values))}")
    return table[labels]


def _is_grey(mode: str, values: UInt8[np.ndarray, "H W C"]) -> bool:
    """Tell whether the channels hold one grey image, opaque or evenly transparent."""
    channels = {"LA": 1, "RGB": 3, "RGBA": 3}.get(mode, 0)
    colours, alpha = values[..., :channels], values[..., channels:]
    return channels > 0 and bool((colours == colours[..., :1]).all() and (alpha == alpha[:1, :1]).all())


def _bytes(values: Bool[np.ndarray, "H W"] | Integer[np.ndarray, "H W"], name: str) -> UInt8[np.ndarray, "H W"]:
    if values.dtype.itemsize > 1:
        values = np.where((values == 65535) | (values == -1), UNLABELLED, values)
        if values.size and not 0 <= values.min() <= values.max() <= UNLABELLED:
            beyond = int(values.max() if values.max() > UNLABELLED else values.min())
            raise ValueError(f"{name}: has the value {beyond}; classes are numbered from 0 to 254, and 255 is ignored")
    return values.astype(np.uint8)
