"""Fields of a message in Protocol Buffers' wire format, without a schema: numbers, and what lies under them."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types
_MOST = 10  # bytes of a varint


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field, in the order of the message.

    Args:
        message: bytes; nothing is copied.

    Yields:
        The number of a field, and an int for a varint, else the bytes: of a string, a message, packed numbers, or one
        number of four or eight bytes.

    Raises:
        ValueError: the message ends within a field, or has a wire type that does not exist.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_FOUR, _EIGHT):
            length = 4 if kind == _FOUR else 8
        else:
            raise ValueError(f"wire type {kind} does not exist")
        if at + length > len(message):
            raise ValueError("ends within a field")
        yield number, message[at : at + length]
        at += length


def varints(packed: memoryview) -> list[int]:
    """Return the numbers of a packed field of varints."""
    found, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        found.append(value)
    return found


def floats(parts: list[memoryview]) -> Float32[np.ndarray, " N"]:
    """Return the numbers of a repeated field of floats, packed or one by one."""
    arrays = [np.frombuffer(part, "<f4") for part in parts]
    return arrays[0] if len(arrays) == 1 else np.concatenate([np.zeros(0, np.float32), *arrays])


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the varint that begins at `at`, and where it ends."""
    value = 0
    for i in range(_MOST):
        if at + i >= len(message):
            raise ValueError("ends within a number")
        byte = message[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise ValueError("has a number of more than ten bytes")
