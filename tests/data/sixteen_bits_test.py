"""16-bit images are scaled by what they hold or what their file says."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import decode, sixteen_bits
from tests.data.png import of_16_bits as png


def packed(content: bytes) -> bytes:
    """TIFF's LZW with no string but single bytes, whose codes all have nine bits; Pillow writes no colours of 16."""
    codes = [256]
    for place, byte in enumerate(content, 1):
        codes += [byte, 256] if place % 200 == 0 else [byte]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def colour_tiff(values: np.ndarray, order: str, compression: int, planes: int = 1) -> bytes:
    """A TIFF of 16 bits a channel, made by hand, uncompressed (1), LZW (5) or deflated (8)."""
    height, width, channels = values.shape
    parts = [values] if planes == 1 else list(np.moveaxis(values, 2, 0))
    squeeze = {1: bytes, 5: packed, 8: zlib.compress}[compression]
    strips = [squeeze(part.astype(f"{order}u2").tobytes()) for part in parts]
    entries = 11 if channels == 4 else 10
    bits = 14 + 12 * entries
    places = bits + 2 * channels
    first = places + 8 * len(strips)
    starts = [first + sum(map(len, strips[:i])) for i in range(len(strips))]
    lengths = [len(strip) for strip in strips]
    alone = len(strips) == 1
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, bits), (259, 3, 1, compression)]
    tags += [(262, 3, 1, 2), (273, 4, len(strips), starts[0] if alone else places), (277, 3, 1, channels)]
    tags += [(278, 4, 1, height), (279, 4, len(strips), lengths[0] if alone else places + 4 * len(strips))]
    tags += [(284, 3, 1, planes), *([(338, 3, 1, 2)] if channels == 4 else [])]
    listed = [struct.pack(f"{order}HHI", *tag[:3]) + number(order, tag[1], tag[2], tag[3]) for tag in tags]
    head = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, entries)
    rest = struct.pack(f"{order}I{channels}H{2 * len(strips)}I", 0, *[16] * channels, *starts, *lengths)
    return head + b"".join(listed) + rest + b"".join(strips)


def number(order: str, kind: int, count: int, value: int) -> bytes:
    return struct.pack(f"{order}HH", value, 0) if (kind, count) == (3, 1) else struct.pack(f"{order}I", value)


def tiff(values: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "TIFF", **options)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def lines(monkeypatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(sixteen_bits.logging, "warning", lambda text, *values: told.append(text % values))
    monkeypatch.setattr(sixteen_bits, "_met", set())
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


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [1, 5, 8])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_compressed_tiffs_are_scaled_too(order, compression, channels):
    values = (np.arange(5 * 30 * channels, dtype=np.uint16) * 7 % 4096).reshape(5, 30, channels)
    values[..., 3:] = 65535
    found = decode.decode(colour_tiff(values, order, compression))
    np.testing.assert_array_equal(found, np.rint(values[..., :3] * 255.0 / 4095))


@pytest.mark.parametrize("compression", [1, 5])
def test_colours_in_planes_of_16_bits_are_refused(compression):
    with pytest.raises(ValueError, match="16-bit channels in separate planes are not read; save it with"):
        decode.Encoded(colour_tiff(np.zeros((2, 3, 3), np.uint16), "<", compression, planes=2))


def test_a_set_whose_images_are_scaled_differently_is_told(lines):
    for largest in (900, 901, 4000, 235, 4001):
        decode.decode(png(np.full((1, 1, 1), largest, np.uint16)), 1)
    assert [("read as" in line, "Others are read as" in line) for line in lines] == [
        (True, False),
        (True, True),
        (True, True),
    ]
    assert "Others are read as 10, 12 bits, so equal values differ in brightness" in lines[-1]
