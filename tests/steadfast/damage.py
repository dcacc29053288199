"""Ways to damage a file, each drawn from a seed: of bytes, and of the numbers and texts that a file is written in."""

import random
import re
from collections.abc import Callable

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_TEXT = re.compile(rb'"[^"\n]*"|(?<=>)[^<>\n]+(?=<)')
_NUMBERS = (
    *(
        b"0",
        b"-1",
        b"1e400",
        b"-1e400",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e308",
        b"-1e308",
        b"1e-320",
        b"0.5",
        b"2",
    ),
    *(
        b"9" * 25,
        b"9" * 400,
        b"1" * 5000,
        b"null",
        b"true",
        b'"7"',
        b'"x"',
        b"[]",
        b"{}",
        b"[1,2]",
        b'{"a":[]}',
        b"\xb2",
    ),
    *(b"[" * 3000, b"[" * 90000 + b"]" * 90000, b'{"a":' * 3000, b"4294967295", b"9223372036854775807", b"-2147483649"),
)
_TEXTS = (
    *(
        b'""',
        b'"../../etc/passwd"',
        b'"a\\u0000b"',
        b'"\\ud800"',
        b'"' + b"n" * 5000 + b'"',
        b"null",
        b"3",
        b"[]",
        b"{}",
    ),
    *(
        b'"/dev/zero"',
        b'"background"',
        '"é\u0301"'.encode(),
        b'"\xff\xfe"',
        b'["a"]',
        b'"a\\nb"',
        b'" "',
        b"&x;",
        b"<x>",
    ),
)
_ENCODINGS = (b"utf-7", b"idna", b"rot13", b"zlib", b"hex", b"nothing", b"utf-16", b"utf-32", b"undefined", b"cp037")
_OTHERS = (
    b"",
    b"\x00",
    b"\n",
    b"{}",
    b"[]",
    b"null",
    b"GIF89a",
    b"\x89PNG\r\n\x1a\n",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"\x80\x02.",
)


def damaged(content: bytes, seed: str) -> tuple[bytes, str]:
    """Return the content after one to three damages, and their names."""
    draw = random.Random(seed)
    ways = draw.choices(tuple(_WAYS), k=draw.choice((1, 1, 2, 3)))
    for way in ways:
        content = _WAYS[way](content, draw)
    return content, ", ".join(ways)


def _place(content: bytes, draw: random.Random) -> int:
    # Headers decide most: half of the places lie near the beginning.
    return draw.randrange(min(len(content), draw.choice((32, 200, 1 << 30))) or 1)


def _flip(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 3, 20))):
        if changed:
            changed[_place(content, draw)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _overwrite(content: bytes, draw: random.Random) -> bytes:
    place, value = (
        _place(content, draw),
        draw.choice((b"\x00", b"\xff", b"\x7f", b"\x80", b"(", b".", b"Q")) * draw.choice((1, 4, 8)),
    )
    return content[:place] + value + content[place + len(value) :]


def _insert(content: bytes, draw: random.Random) -> bytes:
    place = _place(content, draw)
    return content[:place] + draw.randbytes(draw.choice((1, 4, 300))) + content[place:]


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: _place(content, draw)]


def _remove(content: bytes, draw: random.Random) -> bytes:
    place = _place(content, draw)
    return content[:place] + content[place + draw.choice((1, 8, 100)) :]


def _repeat(content: bytes, draw: random.Random) -> bytes:
    place = _place(content, draw)
    return content[:place] + content[place : place + draw.choice((4, 50, 400))] * draw.choice((2, 50)) + content[place:]


def _other(content: bytes, draw: random.Random) -> bytes:
    return draw.choice(_OTHERS) + (content if draw.random() < 0.3 else b"")


def _number(content: bytes, draw: random.Random) -> bytes:
    return _replaced(content, _NUMBER, _NUMBERS, draw)


def _text(content: bytes, draw: random.Random) -> bytes:
    return _replaced(content, _TEXT, _TEXTS, draw)


def _replaced(content: bytes, pattern: re.Pattern[bytes], values: tuple[bytes, ...], draw: random.Random) -> bytes:
    if not (found := list(pattern.finditer(content))):
        return content
    start, stop = draw.choice(found).span()
    return content[:start] + draw.choice(values) + content[stop:]


def _encoding(content: bytes, draw: random.Random) -> bytes:
    if b"encoding=" in content:
        return re.sub(rb'encoding="[^"]*"', b'encoding="' + draw.choice(_ENCODINGS) + b'"', content)
    return content.decode("latin-1").encode(draw.choice(("utf-16", "utf-32", "utf-8")))


def _line(content: bytes, draw: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    if lines:
        place = draw.randrange(len(lines))
        lines[place : place + 1] = lines[place : place + 1] * draw.choice((0, 2))
    return b"".join(lines)


_WAYS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flip": _flip,
    "overwrite": _overwrite,
    "insert": _insert,
    "cut": _cut,
    "remove": _remove,
    "repeat": _repeat,
    "other": _other,
    "number": _number,
    "number again": _number,
    "text": _text,
    "encoding": _encoding,
    "line": _line,
}
