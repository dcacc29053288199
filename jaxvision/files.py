"""Files that exist whole or not at all, and what earlier runs wrote into them, read with a check of its form."""

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # not on Windows, where two processes in one folder are not kept apart
    fcntl = None  # type: ignore[assignment]

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Values of `OSError.errno` that say that nothing more fits on the disk, into the user's quota, or into one file."""

_NOT_OFFERED = (errno.EINVAL, errno.ENOTSUP)

_under_way: set[Path] = set()  # the temporary files of this process


def read_object(path: Path, needed: Mapping[str, type] | None = None) -> dict[str, Any]:
    """Read a JSON object that an earlier run wrote.

    Args:
        path: the file.
        needed: entries that it must have, with the type of each.

    Returns:
        The object.

    Raises:
        ValueError: the file is not what was written there; the text names it and says what to do.
    """
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise damaged(path, f"it is not JSON: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    if not isinstance(found, dict):
        raise damaged(path, "it is not a JSON object")
    for name, kind in (needed or {}).items():
        if not isinstance(found.get(name), kind):
            raise damaged(path, f"its entry {name!r} is missing or is no {kind.__name__}")
    return found


def damaged(path: Path, reason: str) -> ValueError:
    """Return the error for a file of ours that is not what was written there: one line that says what to do."""
    return ValueError(f"{path} is damaged: {reason}; put back a copy of it, or remove it")


def atomic_write(path: Path, data: str | bytes) -> None:
    """Write `data` (text as UTF-8) to `path`: the old file stays until the new one is complete and on disk."""
    with atomic_open(path) as file:
        file.write(_encoded(data))


@contextlib.contextmanager
def atomic_open(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` at the end of the `with`, once it is on disk.

    After an exception `path` is as it was and no other file is left. The temporary file beside it carries the number of
    the process, so that two processes that write the same path do not mix.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    _under_way.add(temporary)
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unwritten(path, error) from None
        raise
    finally:
        _under_way.discard(temporary)
    _sync_folder(path.parent)


def append(path: Path, data: str | bytes) -> None:
    """Append to a file, all or nothing. OSError: there is no room; the text names the file."""
    data = _encoded(data)
    with open(path, "ab", buffering=0) as file:
        before = file.tell()
        try:
            if file.write(data) < len(data):  # as much as there was room for
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):
                file.truncate(before)
            raise unwritten(path, error) from None


@contextlib.contextmanager
def held(path: Path, *, shared: bool = False, wait: bool = False) -> Iterator[BinaryIO]:
    """Hold a file that stands for something that few processes may do at once, also on several machines.

    The lock is of the kind that the system takes back when the process ends, however it ends, and that processes
    started from it do not inherit.

    Args:
        path: the file, which is made where it is missing and which stays.
        shared: hold it beside others who also share it.
        wait: wait until the file is free; False: raise BlockingIOError or PermissionError where another process holds
            it in a way that excludes this one.

    Yields:
        The open file.
    """
    with open(path, "a+b") as file:
        if fcntl is not None:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.lockf(file, kind if wait else kind | fcntl.LOCK_NB)
        yield file


def _encoded(data: str | bytes) -> bytes:
    """Return text in UTF-8; half characters, which names from other people's files may hold, become escapes."""
    return data.encode(errors="backslashreplace") if isinstance(data, str) else data


def sync(path: Path) -> None:
    """Put what was appended to a file on disk; a file that does not exist is nothing to do."""
    if path.exists():
        with open(path, "rb") as file:
            os.fsync(file.fileno())


class Unwritten(OSError):
    """A file could not be written; the text names it, and says what to do where the disk is full."""

    def __str__(self) -> str:
        return str(self.strerror)


def unwritten(path: Path, error: OSError) -> OSError:
    """Return the error of a file that could not be written; one that names a file already is returned as it is."""
    if isinstance(error, Unwritten) or (error.filename is not None and error.errno not in DISK_FULL):
        return error
    remedy = "; make room, and the same command goes on from there" if error.errno in DISK_FULL else ""
    return Unwritten(error.errno, f"{path}: {error.strerror or error}{remedy}")


def remove_temporaries() -> None:
    """Remove the files that this process has begun and not finished, before it ends without more ado."""
    for path in tuple(_under_way):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Put the folder's entries on disk: without that, a power cut may undo the renaming of a file in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:  # some network file systems cannot do it
            raise
    finally:
        os.close(descriptor)
