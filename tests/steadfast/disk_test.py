"""A full disk ends a run in one line; the checkpoint before stays whole, and with more room the same command goes on.

The disk is a file system in memory of a few megabytes, where the machine allows to mount one.
"""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.steadfast.killing import COMMANDS, Server, differences

pytestmark = pytest.mark.long


@contextlib.contextmanager
def disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """Mount a file system of this size; skip where that is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(folder)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not allow to mount a file system in memory")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def resized(folder: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(folder)], check=True)


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 1024


@pytest.mark.parametrize("name", ["classification", "rcnn"])
def test_a_full_disk_is_one_line_and_loses_nothing(server: Server, tmp_path: Path, name: str):
    assert server.run(*COMMANDS[name], f"--workdir={tmp_path}/straight")["code"] == 0
    whole = used(tmp_path / "straight")
    with disk(tmp_path / "disk", whole // 8):
        workdir, lines = tmp_path / "disk" / "run", []
        for part in (8, 5, 3, 2):
            resized(tmp_path / "disk", max(whole // part, 64))
            server.log.write_text("")
            ended = server.run(*COMMANDS[name], f"--workdir={workdir}")
            last = server.log.read_text().splitlines()[-1]
            assert ended["code"] in (0, 2), server.log.read_text()
            assert "Traceback" not in server.log.read_text()
            if ended["code"] == 2:
                lines.append(last)
                assert last.startswith("error: ") and "make room" in last and str(tmp_path) in last, last
        resized(tmp_path / "disk", 16 * whole)
        assert server.run(*COMMANDS[name], f"--workdir={workdir}")["code"] == 0
        assert len(lines) >= 2
        (tmp_path / "killed").mkdir()
        subprocess.run(["cp", "-a", str(workdir), str(tmp_path / "killed" / "run")], check=True)
    assert differences(tmp_path / "straight", tmp_path / "killed" / "run") == []


def test_a_full_disk_in_other_modes(server: Server, tmp_path: Path):
    workdir = tmp_path / "disk" / "run"
    with disk(tmp_path / "disk", 50_000):
        assert server.run(*COMMANDS["classification"], f"--workdir={workdir}")["code"] == 0
        before = {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
        resized(tmp_path / "disk", shutil.disk_usage(tmp_path / "disk").used // 1024 + 64)
        (tmp_path / "disk" / "rest").write_bytes(b"")
        with contextlib.suppress(OSError), open(tmp_path / "disk" / "rest", "wb") as rest:
            for _ in range(1000):
                rest.write(bytes(4096))
                rest.flush()
        for mode in ("evaluate", "export"):
            server.log.write_text("")
            ended = server.run(f"--mode={mode}", f"--workdir={workdir}")
            assert ended["code"] == 2 and "Traceback" not in server.log.read_text(), server.log.read_text()
            assert "make room" in server.log.read_text().splitlines()[-1]
        (tmp_path / "disk" / "rest").unlink()
        assert not list(workdir.rglob("*.tmp"))
        changed = [path for path, content in before.items() if path.read_bytes() != content]
        assert [path.name for path in changed if path.name not in ("metrics.jsonl", "report.html")] == []
        for line in (workdir / "metrics.jsonl").read_text().splitlines():
            json.loads(line)
