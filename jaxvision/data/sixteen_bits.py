"""Images of 16 bits a channel, scaled to 8 bits by the range that their file states or their values need.

The rule: a file that states how many bits its values have (PNG's sBIT, TIFF's MaxSampleValue, PGM's maximum) is scaled
by that; for others the least of 8, 10, 12, 14 and 16 bits that holds the image's largest value counts. A microscope's
0…235 stays as it is, a 12-bit camera's 0…4,095 becomes 0…255. The rule is for each image by itself, since no reader
looks at all pixels of a set. Each process names the first image of each number of bits, and says so from the second
number on, so that a set whose images are scaled by different ranges is seen.
"""

import io
import struct
import sys
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Integer, UInt8
from PIL import Image

_BITS = (8, 10, 12, 14, 16)
_MAX_SAMPLE_VALUE = 281  # TIFF's tag
_ORDERS = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # N: this machine's (compressed TIFF)
# The layouts of 16-bit colours of which Pillow keeps the more significant byte, and the layout that gives the other.
_OTHER_BYTE = {
    f"{mode};16{order}": f"{mode};16{other}" for mode in ("RGB", "RGBA", "RGBX") for order, other in _ORDERS.items()
}
_BITS_PER_SAMPLE, _PLANES, _SEPARATE = 258, 284, 2  # TIFF's tags, and the value of the second for a plane each channel
_met: set[int] = set()  # the numbers of bits that this process has read 16-bit values as


def is_grey(image: Image.Image) -> bool:
    """Tell whether an image is grey with 16 bits a pixel."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))


def is_deep(image: Image.Image) -> bool:
    """Tell whether an image that is not loaded yet has 16 bits a channel, and `grey` or `colour` can scale it."""
    return is_grey(image) or layout_of(image) in _OTHER_BYTE


def check_planes(image: Image.Image) -> None:
    """Check that an image that is not loaded yet is read as it is: Pillow takes planes of 16 bits for planes of 8.

    Raises ValueError for a TIFF that holds such.
    """
    tags: Any = getattr(image, "tag_v2", {})
    apart = tags.get(_PLANES) == _SEPARATE and max(tags.get(_BITS_PER_SAMPLE, (8,))) > 8
    if apart and not layout_of(image).startswith("I;16"):
        raise ValueError("16-bit channels in separate planes are not read; save it with interleaved ones, or 8 bits")


def grey(image: Image.Image, content: bytes, name: str) -> Image.Image:
    """Scale a grey image of 16 bits to 8.

    Args:
        image: the image, of a mode for which `is_grey` is true.
        content: the bytes of the file.
        name: the file, for the log.

    Returns:
        A grey image.
    """
    values = np.asarray(image)
    return Image.fromarray(_scaled(values, _stated(image, content) or _least(values), name))


def colour(image: Image.Image, content: bytes, name: str) -> Image.Image:
    """Return a colour image of 16 bits a channel in 8 bits; Pillow has kept the more significant byte of each value.

    Args:
        image: the loaded image.
        content: the bytes of the file.
        name: the file, for the log.

    Returns:
        The image with 8 bits; `image` itself where its values need all 16 bits, or the file has 8.
    """
    with Image.open(io.BytesIO(content)) as again:
        tiles = getattr(again, "tile", [])
        other = _OTHER_BYTE[layout_of(again)]
        pixels = np.asarray(image)
        high, alpha = pixels[..., :3], pixels[..., 3:] if image.mode == "RGBA" else pixels[..., :0]
        stated = _stated(again, content)
        if high.max() >= 64 and stated is None:
            _note(16, name)
            return image
        again.tile = [_with_layout(tile, other) for tile in tiles]  # type: ignore[attr-defined]
        low = np.asarray(again)
    values = high.astype(np.uint16) << 8 | low[..., :3]
    scaled = _scaled(values, stated or _least(values), name)
    return Image.fromarray(np.concatenate([scaled, alpha], axis=-1))


def layout_of(image: Image.Image) -> str:
    """Return Pillow's name of the layout of the pixels in a file that is not loaded yet, such as "L;4" or "RGB;16B"."""
    tiles = getattr(image, "tile", None)
    return _layout(tiles[0]) if tiles else ""


def _layout(tile: Any) -> str:
    return str(tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args)


def _with_layout(tile: Any, layout: str) -> Any:
    return tile._replace(args=(layout, *tile.args[1:]) if isinstance(tile.args, tuple) else layout)


def _least(values: Integer[np.ndarray, "..."]) -> int:
    return next(bits for bits in _BITS if int(values.max(initial=0)) < 2**bits or bits == _BITS[-1])


def _stated(image: Image.Image, content: bytes) -> int | None:
    """Return the bits of the values as the file states them, None where it does not."""
    if image.format == "PPM":
        return 16  # Pillow has scaled the values by the file's maximum
    if image.format == "TIFF":
        largest = getattr(image, "tag_v2", {}).get(_MAX_SAMPLE_VALUE)
        largest = max(largest) if isinstance(largest, tuple) and largest else largest
        return int(largest).bit_length() if isinstance(largest, int) and 255 <= largest < 65535 else None
    place = content.find(b"sBIT", 8, 512) if image.format == "PNG" else -1
    if place < 4:
        return None
    (length,) = struct.unpack(">I", content[place - 4 : place])
    bits = max(content[place + 4 : place + 4 + min(length, 3)], default=0)
    return bits if 8 <= bits <= 16 else None


def _scaled(values: Integer[np.ndarray, "..."], bits: int, name: str) -> UInt8[np.ndarray, "..."]:
    _note(bits, name)
    scaled = np.rint(values.astype(np.float32) * np.float32(255 / (2**bits - 1)))
    return np.minimum(scaled, 255).astype(np.uint8)


def _note(bits: int, name: str) -> None:
    """Say how an image is scaled, the first time for each number of bits, and where others were scaled otherwise."""
    others = sorted(_met)
    if bits in _met:
        return
    _met.add(bits)
    if bits == 16 and not others:
        return
    different = (
        f". Others are read as {', '.join(map(str, others))} bits, so equal values differ in brightness: state the "
        "bits in the files (PNG's sBIT, TIFF's MaxSampleValue), or save them with 8 bits"
    )
    logging.warning(
        "%s: its 16-bit values are read as %d bits, the least that hold them (or as the file says): 0 to %d become 0 "
        "to 255; so are others like it%s",
        name,
        bits,
        2**bits - 1,
        different if others else "",
    )
