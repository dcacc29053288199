"""Decoder of image files to uint8 RGB arrays, with Pillow.

Its decisions, the same for every reader:

- The EXIF orientation is applied. Colour profiles are ignored, as the reference frameworks do.
- Transparency is composited on white. Of an animation the first frame counts, and of a TIFF the first page, said once.
- Images of 16 bits a channel are scaled to 8 bits by the range of each one's values, never clipped; see
  `sixteen_bits`.
- JPEG is decoded with the accurate integer DCT and smooth chroma upsampling (Pillow's defaults).
- Every resize is antialiased: Pillow widens its filters by the down-scaling factor.
- A file that cannot be decoded is `ValueError("file: reason")`.
"""

import contextlib
import io
import os
from collections.abc import Iterator

import numpy as np
from absl import logging
from jaxtyping import UInt8
from PIL import Image

from jaxvision import foreign
from jaxvision.data import image_bytes, sixteen_bits

Pixels = UInt8[np.ndarray, "_H _W 3"]
File = str | os.PathLike | bytes
Number = int | float
Box = tuple[Number, Number, Number, Number]

BILINEAR = Image.Resampling.BILINEAR

# EXIF orientation (EXIF 2.3, tag 0x0112) -> the operation that turns the stored image upright.
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES = {_UPRIGHT[code] for code in (5, 6, 7, 8)}


class Encoded:
    """An image file whose header is read and whose pixels are decoded on demand, once.

    A random crop is drawn from `width` and `height` (upright) first, and the file then decoded at the scale it needs.
    """

    def __init__(self, file: File, name: str = "") -> None:
        """Read the header of `file`, a path or bytes, named `name` in errors; ValueError where it is broken."""
        self._name = name or _name(file)
        with _named(self._name):
            content = image_bytes.read(file)
            self._image = image_bytes.opened(content)
            sixteen_bits.check_planes(self._image)
            self._deep = content if sixteen_bits.is_deep(self._image) else b""
            self._turn = _UPRIGHT.get(_orientation(self._image))
        width, height = self._image.size
        self.width, self.height = (height, width) if self._turn in _SWAPS_SIDES else (width, height)

    def pixels(self, min_size: int | None = None) -> Pixels:
        """Decode the whole image; a JPEG at the smallest of 1, 1/2, 1/4, 1/8 whose shorter side is still `min_size`."""
        ratio = min(self.width, self.height) / min_size if min_size else 1.0
        return _array(self._decode(_jpeg_reduction(ratio))[0])

    def crop(self, box: Box, size: tuple[int, int]) -> Pixels:
        """Decode the part `box` (x0, y0, x1, y1), resized to `size` (width, height), bilinear and antialiased.

        A JPEG is decoded at the smallest of 1, 1/2, 1/4, 1/8 at which the part is still no smaller than `size`.
        """
        ratio = min((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
        image, reduction = self._decode(_jpeg_reduction(ratio))
        x0, y0, x1, y1 = (edge / reduction for edge in box)
        return _resize_part(image, (x0, y0, x1, y1), size)

    def _decode(self, reduction: int) -> tuple[Image.Image, int]:
        """Return the upright RGB image, and by how much it was really reduced; only an upright JPEG can be."""
        with _named(self._name):
            image = self._image
            stored_width, stored_height = image.size
            drafted = None
            if reduction > 1 and self._turn is None:
                drafted = image.draft("RGB", (stored_width // reduction, stored_height // reduction))
            upright = self._rgb()
            if self._turn is not None:
                upright = upright.transpose(self._turn)
        return upright, round(stored_width / drafted[1][2]) if drafted else 1

    def _rgb(self) -> Image.Image:
        image: Image.Image = self._image
        _tell_of_pages(image, self._name)
        image.load()
        if sixteen_bits.is_grey(image):
            return sixteen_bits.grey(image, self._deep, self._name).convert("RGB")
        if self._deep:
            image = sixteen_bits.colour(image, self._deep, self._name)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        if image.mode in ("I", "F"):
            raise ValueError("32-bit pixels have no agreed range; save it with 8 or 16 bits")
        return image if image.mode == "RGB" else image.convert("RGB")


def decode(file: File, min_size: int | None = None) -> Pixels:
    """Decode an image file (or its bytes) to upright RGB; ValueError "file: reason" where it is broken.

    `min_size` lets a JPEG that is larger than needed be decoded at 1/2, 1/4 or 1/8, several times faster: the shorter
    side stays at least `min_size`. Leave it out where exact pixels matter (evaluation of imported weights).
    """
    return Encoded(file).pixels(min_size)


def pixels(image: Pixels | Encoded) -> Pixels:
    """Return the image of a record as an array, decoded if it is not yet."""
    return image.pixels() if isinstance(image, Encoded) else image


def extent(image: Pixels | Encoded) -> tuple[int, int]:
    """Return (width, height) of a decoded or undecoded image."""
    return (image.width, image.height) if isinstance(image, Encoded) else (image.shape[1], image.shape[0])


def header_extent(file: File) -> tuple[int, int]:
    """Return (width, height), upright, of an image file, from its header; ValueError where that is broken."""
    with (
        _named(_name(file)),
        io.BytesIO(file) if isinstance(file, bytes) else foreign.opened(file) as stream,
        Image.open(stream) as image,
    ):
        width, height = image.size
        return (height, width) if _UPRIGHT.get(_orientation(image)) in _SWAPS_SIDES else (width, height)


def crop(image: Pixels | Encoded, box: Box, size: tuple[int, int]) -> Pixels:
    """Resize a part of an image, bilinear and antialiased.

    Args:
        image: Decoded or undecoded.
        box: (x0, y0, x1, y1) in pixels.
        size: (width, height) of the result in pixels.

    Returns:
        The part, uint8 RGB.
    """
    if isinstance(image, Encoded):
        return image.crop(box, size)
    return _resize_part(Image.fromarray(image), box, size)


def resize(image: Pixels, size: tuple[int, int], resample: Image.Resampling = BILINEAR) -> Pixels:
    """Resize a whole image, antialiased.

    Args:
        image: Decoded.
        size: (width, height) of the result in pixels.
        resample: Pillow's filter.

    Returns:
        The resized image; `image` itself where it has that size.
    """
    if (image.shape[1], image.shape[0]) == size:
        return image
    return _array(Image.fromarray(image).resize(size, resample))


def _name(file: File) -> str:
    return f"<{len(file)} bytes>" if isinstance(file, bytes) else os.fspath(file)


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    with foreign.named(name):
        try:
            yield
        except Image.UnidentifiedImageError:
            raise ValueError("not an image file that Pillow knows") from None


def _orientation(image: Image.Image) -> int:
    # Pillow turns TIFF by itself, and a JPEG without the EXIF block need not be searched.
    if image.format == "TIFF" or (image.format in ("JPEG", "MPO") and "exif" not in image.info):
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except (OSError, SyntaxError, TypeError, ValueError):  # a damaged EXIF block does not spoil the pixels
        return 1


def _tell_of_pages(image: Image.Image, name: str) -> None:
    # The place of the next page in the file; Pillow's own count would read all pages' headers, and fail with the last.
    if getattr(getattr(image, "tag_v2", None), "next", 0):
        logging.log_first_n(
            logging.WARNING, "%s: has several pages, of which the first is read; so are others like it", 1, name
        )


def _jpeg_reduction(ratio: float) -> int:
    return next((power for power in (8, 4, 2) if ratio >= power), 1)


def _resize_part(image: Image.Image, box: Box, size: tuple[int, int]) -> Pixels:
    # The gap of 3 lets Pillow average whole blocks first where the part is over six times larger than `size`.
    return _array(image.resize(size, BILINEAR, box=box, reducing_gap=3.0))


def _array(image: Image.Image) -> Pixels:
    return np.asarray(image)
