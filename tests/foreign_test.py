"""Whatever goes wrong with a file becomes one line of bounded length that begins with its name."""

import os
from pathlib import Path

import pytest

from jaxvision import foreign


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("x"), "a.json: KeyError: 'x'"),
        (RecursionError("maximum recursion depth exceeded"), "a.json: nested too deeply"),
        (MemoryError(), "a.json: needs more memory than there is"),
        (PermissionError(13, "Permission denied", "a.json"), "a.json: Permission denied"),
        (ValueError("no list\n of images"), "a.json: no list of images"),
        (ValueError("a.json: named already"), "a.json: named already"),
        (ValueError("--data=coco:a.json: named by the flag"), "--data=coco:a.json: named by the flag"),
        (ZeroDivisionError(), "a.json: ZeroDivisionError"),
    ],
)
def test_any_exception_is_a_line_that_names_the_file(error: Exception, line: str):
    with pytest.raises(ValueError) as found, foreign.named("a.json"):
        raise error
    assert str(found.value) == line


def test_a_line_has_an_end_and_its_value_need_not_have_a_text():
    class Nameless(Exception):
        def __str__(self) -> str:
            raise RecursionError

    assert len(foreign.reason(ValueError("word " * 100_000))) < 500
    assert foreign.reason(Nameless()) == "Nameless"


def test_only_ordinary_files_are_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    for name, what in (("pipe", "a pipe or device"), ("zero", "a pipe or device"), (".", "a folder")):
        with pytest.raises(ValueError, match=f"{what}, and no file"):
            foreign.content(tmp_path / name)
    assert foreign.content(tmp_path / "link", 5) == b"12345"
    with pytest.raises(ValueError, match="file: has 5 bytes, and at most 4 are read"):
        foreign.content(tmp_path / "file", 4)
    with pytest.raises(FileNotFoundError):
        foreign.content(tmp_path / "none")


def test_what_was_made_to_fill_the_memory():
    foreign.check_unpacked(10, 2**26)
    foreign.check_unpacked(2**30, 2**35)
    with pytest.raises(ValueError, match="are refused"):
        foreign.check_unpacked(2**16, 2**26 + 1)
