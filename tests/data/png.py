"""PNG files made by hand, of pixels that Pillow does not write: of few bits, and colours of 16 bits."""

import struct
import zlib

import numpy as np

_COLOUR = {1: 0, 3: 2, 4: 6}  # the header's colour type by the number of channels


def of_bits(bits: int, colour: int, values: np.ndarray) -> bytes:
    """A PNG of 1 to 8 bits a pixel, grey (0) or with a palette (3)."""
    rows = b""
    for row in values:
        number = 0
        for value in row:
            number = number << bits | int(value)
        length = -(-len(row) * bits // 8)
        rows += b"\0" + (number << (8 * length - len(row) * bits)).to_bytes(length, "big")
    palette = _chunk(b"PLTE", bytes(number % 256 for number in range(3 * 2**bits))) if colour == 3 else b""
    return _file(values, bits, colour, palette, rows)


def of_16_bits(values: np.ndarray, sbit: bytes = b"") -> bytes:
    """A PNG of 16 bits a channel [H, W, C]; `sbit` says how many of them are used."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return _file(values, 16, _COLOUR[values.shape[2]], _chunk(b"sBIT", sbit) if sbit else b"", rows)


def _file(values: np.ndarray, bits: int, colour: int, more: bytes, rows: bytes) -> bytes:
    height, width = values.shape[:2]
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + more + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
