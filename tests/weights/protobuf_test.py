"""Fields of the wire format, written by hand."""

import numpy as np
import pytest

from jaxvision.weights.protobuf import fields, floats, varints


def test_numbers_strings_and_messages_in_their_order():
    message = bytes([0x08, 0x96, 0x01, 0x12, 0x02]) + b"ab" + bytes([0x1D, 1, 2, 3, 4]) + bytes([0x21]) + bytes(8)
    found = [(n, v if isinstance(v, int) else bytes(v)) for n, v in fields(memoryview(message))]
    assert found == [(1, 150), (2, b"ab"), (3, bytes([1, 2, 3, 4])), (4, bytes(8))]
    assert list(fields(memoryview(b""))) == []


def test_packed_numbers_and_single_ones_are_the_same():
    assert varints(memoryview(bytes([0x03, 0x8E, 0x02]))) == [3, 270]
    values = np.array([1.5, -2.0, 8.0], "<f4")
    packed, single = [memoryview(values.tobytes())], [memoryview(value.tobytes()) for value in values]
    assert floats(packed).tolist() == floats(single).tolist() == values.tolist() and len(floats([])) == 0


@pytest.mark.parametrize(
    ("message", "said"),
    [(b"\x12\x05ab", "ends within a field"), (b"\x08\x96", "ends within a number"), (b"\x0b", "wire type 3"),
     (b"\x08" + b"\xff" * 11, "more than ten bytes")],
)  # fmt: skip
def test_what_is_no_message_is_refused(message: bytes, said: str):
    with pytest.raises(ValueError, match=said):
        list(fields(memoryview(message)))
