"""The bytes of an image file, with bounds on what it takes to read them and to unpack their pixels."""

import io
import os

from PIL import Image

from jaxvision import foreign

_BYTES = 2**29  # of a file; the pixels of the largest images that Pillow opens take as many
_PIXELS = 2**26  # so many are unpacked without asking how: they take at most 0.3 GB
_PIXELS_A_BYTE = 250  # of a larger image; label maps of one class in every corner of a large picture stay below

File = str | os.PathLike | bytes


def read(file: File) -> bytes:
    """Return the bytes of an image file; ValueError: it is a pipe, a device, a folder, or too large."""
    return file if isinstance(file, bytes) else foreign.content(file, _BYTES)


def opened(content: bytes) -> Image.Image:
    """Read the header of an image.

    Args:
        content: the bytes of its file.

    Raises:
        ValueError: the file is made so that few bytes unpack to a memory full of pixels.
        PIL.UnidentifiedImageError, or nearly anything else: the file is broken.
    """
    image = Image.open(io.BytesIO(content))
    pixels = image.width * image.height
    if pixels > max(_PIXELS, _PIXELS_A_BYTE * len(content)):
        raise ValueError(
            f"{len(content):,} bytes that unpack to {image.width}×{image.height} pixels are refused: no picture is so "
            "empty; save it smaller"
        )
    return image
