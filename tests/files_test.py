"""A file that is written takes its place whole, and an attempt that fails leaves no trace."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from jaxvision.files import append, atomic_open, atomic_write, held, remove_temporaries


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


def test_what_is_appended_is_there_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "rows"
    append(path, "one\n")
    append(path, b"two\n")
    assert path.read_text() == "one\ntwo\n"
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
    try:
        for write in (append, atomic_write):
            with pytest.raises(OSError, match=f"^{path}: .*; make room, and the same command goes on from there"):
                write(path, "three\n" * 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert path.read_text() == "one\ntwo\n" and os.listdir(tmp_path) == ["rows"]


def test_half_a_character_is_written_as_an_escape(tmp_path: Path):
    atomic_write(tmp_path / "a", "x\ud800")
    assert (tmp_path / "a").read_text() == "x\\ud800"


def test_what_is_under_way_can_be_removed(tmp_path: Path):
    with pytest.raises(FileNotFoundError), atomic_open(tmp_path / "a") as file:
        file.write(b"half")
        remove_temporaries()
        assert os.listdir(tmp_path) == []


def test_a_file_is_held_alone_or_shared(tmp_path: Path):
    path = tmp_path / "lock"
    code = "import sys; from pathlib import Path; from jaxvision.files import held\n"
    code += "with held(Path(sys.argv[1]), shared=True):\n    print(flush=True); input()"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "\n"
        with held(path, shared=True):
            pass
        with pytest.raises(OSError), held(path):
            pass
        other.communicate("\n")
    with held(path) as file:
        file.write(b"mine")
    assert path.read_bytes() == b"mine"
