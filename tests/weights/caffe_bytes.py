"""Files as Caffe writes them, put together by hand."""

from pathlib import Path

import numpy as np


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(value: np.ndarray, *, old: bool = False) -> bytes:
    """A BlobProto: with a shape, or with the four dimensions of before 2014."""
    data = field(5, np.ascontiguousarray(value, "<f4").tobytes())
    if not old:
        return field(7, field(1, b"".join(map(varint, value.shape)))) + data
    dimensions = (1,) * (4 - value.ndim) + value.shape
    return b"".join(varint(number << 3) + varint(size) for number, size in enumerate(dimensions, start=1)) + data


def saved(path: Path, layers: dict[str, tuple[np.ndarray, ...]], *, old: bool = False) -> Path:
    """A network of these layers, in today's form or in that of before 2014; layers without arrays have no weights."""
    content = field(1, b"net")
    for name, arrays in layers.items():
        named, held = (4, 6) if old else (1, 7)
        blobs = b"".join(field(held, blob(value, old=old)) for value in arrays)
        content += field(2 if old else 100, field(named, name.encode()) + blobs)
    path.write_bytes(content)
    return path
