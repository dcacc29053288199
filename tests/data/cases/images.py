"""Image files as cameras, scanners and the web leave them."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from jaxvision.data import decode
from tests.data.cases.case import Outcome
from tests.data.png import of_16_bits

QUADRANTS = np.array([[[250, 10, 10], [10, 250, 10]], [[10, 10, 250], [250, 250, 10]]], np.uint8)
PLAIN = QUADRANTS.repeat(12, 0).repeat(20, 1)  # four plain colours, 24 × 40 pixels
STORED = {  # EXIF orientation -> how an upright image is stored
    1: PLAIN,
    2: PLAIN[:, ::-1],
    3: PLAIN[::-1, ::-1],
    4: PLAIN[::-1],
    5: PLAIN.swapaxes(0, 1),
    6: PLAIN.swapaxes(0, 1)[::-1],
    7: PLAIN[::-1, ::-1].swapaxes(0, 1),
    8: PLAIN.swapaxes(0, 1)[:, ::-1],
}
GREY = np.repeat(PLAIN[..., :1], 3, axis=2)  # what the red channel alone looks like


class Picture(NamedTuple):
    """A file, and the pixels that are read from it."""

    name: str
    content: Callable[[], bytes]
    expected: np.ndarray | None = None  # uint8 [H, W, 3]
    refused: str = ""  # pattern of the error instead
    loss: int = 6  # levels by which pixels may differ, as JPEG, palettes and other colour spaces lose some

    @property
    def outcome(self) -> Outcome:
        """What becomes of the file."""
        return "refused by name" if self.refused else "read"


def encoded(pixels: np.ndarray | Image.Image, form: str = "PNG", mode: str = "", **options: object) -> bytes:
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, form, **options)
    return stream.getvalue()


def turned(number: int, form: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = number
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(form, {})
    return encoded(np.ascontiguousarray(STORED[number]), form, exif=exif, **options)


def several(form: str, **options: object) -> bytes:
    """An animation or a file of two pages, of which the first is the plain image."""
    other = Image.fromarray(255 - PLAIN)
    return encoded(PLAIN, form, save_all=True, append_images=[other], **options)


def sixteen(largest: int, form: str) -> bytes:
    values = (PLAIN[..., 0].astype(np.float64) * largest / 255).round().astype(np.uint16)
    if form == "PGM":
        height, width = values.shape
        return b"P5 %d %d %d\n" % (width, height, largest) + values.astype(">u2").tobytes()
    return encoded(values, form)


def seen_through(alpha: int) -> np.ndarray:
    return np.rint(PLAIN * (alpha / 255) + 255 * (1 - alpha / 255)).astype(np.uint8)


def transparent(form: str, **options: object) -> bytes:
    return encoded(np.dstack([PLAIN, np.full(PLAIN.shape[:2], 51, np.uint8)]), form, **options)


def lab() -> bytes:
    image = Image.fromarray(PLAIN)
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    return encoded(ImageCms.applyTransform(image, to_lab), "TIFF")


JPEG = partial(encoded, PLAIN, "JPEG", quality=100, subsampling=0)
CASES = {
    "Images": (
        *(
            Picture(f"EXIF {number}, {form}", partial(turned, number, form), PLAIN)
            for form in ("JPEG", "PNG", "WEBP", "TIFF")
            for number in STORED
        ),
        *(
            Picture(f"animation, {form}", partial(several, form, **options), PLAIN)
            for form, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}))
        ),
        Picture("pages", partial(several, "TIFF"), PLAIN),
        Picture("progressive", partial(encoded, PLAIN, "JPEG", quality=100, subsampling=0, progressive=True), PLAIN),
        Picture("CMYK, JPEG", partial(encoded, PLAIN, "JPEG", "CMYK", quality=100), PLAIN),
        Picture("CMYK, TIFF", partial(encoded, PLAIN, "TIFF", "CMYK"), PLAIN),
        Picture("palette", lambda: encoded(Image.fromarray(PLAIN).quantize(8)), PLAIN),
        Picture("grey", partial(encoded, PLAIN[..., 0]), GREY),
        Picture("grey with alpha", partial(encoded, PLAIN[..., 0], "PNG", "LA"), GREY),
        Picture(
            "1 bit",
            partial(encoded, Image.fromarray(PLAIN[..., 0]).convert("1", dither=Image.Dither.NONE)),
            np.where(GREY > 127, 255, 0),
        ),
        Picture("transparent, PNG", partial(transparent, "PNG"), seen_through(51)),
        Picture("transparent, WebP", partial(transparent, "WEBP", lossless=True, exact=True), seen_through(51)),
        Picture("text PPM", lambda: b"P3 2 1 255 255 0 0 0 255 0", np.array([[[255, 0, 0], [0, 255, 0]]])),
        Picture(
            "text PPM of 16 bits", lambda: b"P3 2 1 65535 65535 0 0 0 65535 0", np.array([[[255, 0, 0], [0, 255, 0]]])
        ),
        *(Picture(f"16 bits, {form}", partial(sixteen, 65535, form), GREY) for form in ("PNG", "TIFF", "PGM")),
        *(Picture(f"12 bits in 16, {form}", partial(sixteen, 4095, form), GREY) for form in ("PNG", "TIFF", "PGM")),
        Picture("12 bits in 16, colours", lambda: of_16_bits(np.rint(PLAIN * (4095 / 255)).astype(np.uint16)), PLAIN),
        Picture("a PNG called .jpg", partial(encoded, PLAIN), PLAIN),
        Picture("one pixel", partial(encoded, PLAIN[:1, :1]), PLAIN[:1, :1]),
        Picture("4000 × 1", partial(encoded, PLAIN[:1].repeat(100, 1)), PLAIN[:1].repeat(100, 1)),
        Picture("1 × 4000", partial(encoded, PLAIN[:, :1].repeat(100, 0)), PLAIN[:, :1].repeat(100, 0)),
        Picture("damaged EXIF", lambda: JPEG()[:2] + b"\xff\xe1\x00\x0eExif\0\0II*\0\xff\xff" + JPEG()[2:], PLAIN),
        Picture(
            "32 bits",
            partial(encoded, PLAIN[..., 0].astype(np.int32), "TIFF"),
            refused="32-bit pixels have no agreed range",
        ),
        Picture(
            "floats",
            partial(encoded, PLAIN[..., 0].astype(np.float32), "TIFF"),
            refused="32-bit pixels have no agreed range",
        ),
        Picture("LAB", lab, PLAIN, loss=20),
        Picture("a page of the web", lambda: b"<html></html>", refused="not an image file that Pillow knows"),
        Picture("empty", lambda: b"", refused="not an image file that Pillow knows"),
        Picture("cut short", lambda: JPEG()[:-40], refused="truncated"),
    ),
}


def reduced(mode: str, width: int = 640, height: int = 480) -> float:
    """The mean difference in levels between a JPEG decoded at a quarter and the whole image averaged to that size."""
    y, x = np.mgrid[:height, :width]
    waves = [127.5 + 100 * np.sin(x / (29 + 7 * k) + k) * np.cos(y / (23 + 5 * k)) for k in range(3)]
    pixels = np.stack(waves, axis=-1).astype(np.uint8)
    file = encoded(pixels[..., 0] if mode == "L" else pixels, "JPEG", "" if mode == "L" else mode, quality=95)
    small = decode.decode(file, height // 4)
    whole = Image.fromarray(decode.decode(file)).resize((width // 4, height // 4), Image.Resampling.BOX)
    assert small.shape == (height // 4, width // 4, 3)
    return float(np.abs(small.astype(np.float64) - np.asarray(whole)).mean())


def save(folder: Path, picture: Picture) -> Path:
    path = folder / "image.jpg"
    path.write_bytes(picture.content())
    return path
