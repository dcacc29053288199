"""Images of 16 bits a channel, scaled to 8 bits by the range that their file states or their values need.

The rule: a file that states how many bits its values have (PNG's sBIT, TIFF's MaxSampleValue, PGM's maximum) is scaled
by that; for others the least of 8, 10, 12, 14 and 16 bits that holds the image's largest value counts. A microscope's
0…235 stays as it is, a 12-bit camera's 0…4,095 becomes 0…255. Each process says once that it scaled an image.
"""

import io
import struct
from typing import Any

import numpy as np
from absl import logging
from jaxtyping import Integer, UInt8
from PIL import Image

_BITS = (8, 10, 12, 14, 16)
_MAX_SAMPLE_VALUE = 281  # TIFF's tag
# The layouts of 16-bit colours of which Pillow keeps the more significant byte, and the layout that gives the other.
_OTHER_BYTE = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
}


def is_grey(image: Image.Image) -> bool:
    """Tell whether an image is grey with 16 bits a pixel."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))


def is_deep(image: Image.Image) -> bool:
    """Tell whether an image that is not loaded yet has 16 bits a channel, and `grey` or `colour` can scale it."""
    return is_grey(image) or layout_of(image) in _OTHER_BYTE


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
        high = np.asarray(image)[..., :3]
        stated = _stated(again, content)
        if high.max() >= 64 and stated is None:
            return image
        again.tile = [_with_layout(tile, other) for tile in tiles]  # type: ignore[attr-defined]
        low = np.asarray(again)
    values = high.astype(np.uint16) << 8 | low[..., :3]
    scaled = _scaled(values, stated or _least(values), name)
    return Image.fromarray(np.concatenate([scaled, np.asarray(image)[..., 3:]], axis=-1))


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
    if bits < 16:
        logging.log_first_n(
            logging.WARNING,
            "%s: its 16-bit values are read as %d bits, the least that hold them (or as the file says): 0 to %d become "
            "0 to 255; so are others like it",
            1,
            name,
            bits,
            2**bits - 1,
        )
    scaled = np.rint(values.astype(np.float32) * np.float32(255 / (2**bits - 1)))
    return np.minimum(scaled, 255).astype(np.uint8)
