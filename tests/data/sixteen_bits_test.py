"""16-bit images are scaled by what they hold or what their file says."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import decode, sixteen_bits


def png(values: np.ndarray, sbit: bytes = b"") -> bytes:
    """A PNG of 16 bits a channel, made by hand: Pillow writes no colours of 16 bits."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = values.shape[:2]
    colour = {1: 0, 3: 2, 4: 6}[values.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    said = chunk(b"sBIT", sbit) if sbit else b""
    return b"\x89PNG\r\n\x1a\n" + header + said + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(values: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "TIFF", **options)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def lines(monkeypatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(
        sixteen_bits.logging, "log_first_n", lambda level, text, count, *values: told.append(text % values)
    )
    return told


@pytest.mark.parametrize(("largest", "bits"), [(235, 8), (255, 8), (900, 10), (4095, 12), (9000, 14), (40000, 16)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_least_bits_that_hold_the_largest_value_count(largest, bits, channels, lines):
    values = np.repeat(np.array([[0, largest // 2, largest]], np.uint16)[..., None], channels, axis=2)
    found = decode.Encoded(png(values), "a.png").pixels()
    expected = values[..., 0] * 255.0 / (2**bits - 1)
    np.testing.assert_allclose(found[..., 0], expected, atol=1 if channels == 3 else 0.5)
    assert len(lines) == (bits < 16) and (bits == 16 or f"a.png: its 16-bit values are read as {bits} bits" in lines[0])


def test_what_the_file_says_comes_first():
    values = np.array([[[0], [900]]], np.uint16)
    assert decode.decode(png(values, b"\x0c"))[0, 1, 0] == round(900 * 255 / 4095)
    assert decode.decode(tiff(values[..., 0], tiffinfo={281: 4095}))[0, 1, 0] == round(900 * 255 / 4095)
    assert decode.decode(tiff(values[..., 0]))[0, 1, 0] == round(900 * 255 / 1023)
    assert decode.decode(png(np.repeat(values, 3, axis=2), b"\x10\x10\x10"))[0, 1, 0] == round(900 / 257)


def test_colours_keep_their_alpha():
    values = np.array([[[0, 100, 200, 65535], [50, 100, 150, 0]]], np.uint16)
    assert decode.decode(png(values)).tolist() == [[[0, 100, 200], [255, 255, 255]]]
