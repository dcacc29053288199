"""A file that is written takes its place whole, and an attempt that fails leaves no trace."""

import os
from pathlib import Path

import pytest

from jaxvision.files import atomic_open, atomic_write


def test_text_and_bytes_take_the_place_of_what_was_there(tmp_path: Path):
    path = tmp_path / "a.json"
    atomic_write(path, "größer")
    assert path.read_text(encoding="utf-8") == "größer"
    atomic_write(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff" and os.listdir(tmp_path) == ["a.json"]


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path: Path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with atomic_open(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_after_an_exception_everything_is_as_it_was(tmp_path: Path, error: type[BaseException]):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_open(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.bin"]


def test_content_and_folder_are_on_disk_before_and_after_the_file_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    events = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append(os.readlink(f"/proc/self/fd/{fd}")), sync(fd)))
    monkeypatch.setattr(os, "replace", lambda old, new: (events.append("replace"), replace(old, new)))
    atomic_write(tmp_path / "a", b"x")
    content, *rest = events
    assert Path(content).suffix == ".tmp" and rest == ["replace", str(tmp_path)]
