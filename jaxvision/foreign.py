"""Files that other programs wrote and that may hold anything: opened with bounds, every failure told in one line."""

import contextlib
import io
import os
import stat
from collections.abc import Iterator

File = str | os.PathLike

TEXT = 2**26
"""The most bytes of a text file of settings or of one image's annotations, of which the largest have some thousand."""

SET = 2**33
"""The most bytes of a file with the annotations, images or names of a whole set; COCO's own has half a gigabyte."""

_ALWAYS = 2**26  # bytes that a packed file may unpack to, however small it is
_RATIO = 100  # times its own size that a larger one may unpack to; what is measured or learned packs 1.1 to 20 times
_LINE = 400  # characters of a line


@contextlib.contextmanager
def named(file: File) -> Iterator[None]:
    """Turn whatever goes wrong inside the `with` into one line that begins with the name of the file.

    A reader of foreign bytes cannot know in advance what is wrong with them, so that any exception may come. A
    ValueError that begins with the file's name or with a flag is handed on as it is.
    """
    name = os.fspath(file)
    try:
        yield
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith((name, "--")):
            raise
        raise ValueError(f"{name}: {reason(error)}") from None


def reason(error: Exception) -> str:
    """Return what an exception says, in one line of bounded length."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    kind = type(error).__name__
    try:
        text = shortened(str(error))
    except Exception:  # the text of some errors contains the value that is wrong, which may not have one
        return kind
    # Only our own errors, and those of parsers, are sentences; a KeyError says no more than a key.
    return text if text and isinstance(error, ValueError | OSError) else f"{kind}: {text}".removesuffix(": ")


def shortened(text: str, most: int = _LINE) -> str:
    """Return a text in one line of at most `most` characters and the mark of what is missing."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most else f"{line[:most]} …"


def opened(file: File) -> io.BufferedReader:
    """Open an ordinary file for reading, also through links.

    Raises:
        ValueError: it is a pipe, a device or a folder, which has no end or waits for ever.
        OSError: it is missing or may not be read.
    """
    # Without O_NONBLOCK the opening of a pipe waits for its writer.
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise ValueError(f"{os.fspath(file)}: {'a folder' if stat.S_ISDIR(mode) else 'a pipe or device'}, and no file")
    return open(descriptor, "rb")


def content(file: File, most: int = TEXT) -> bytes:
    """Return the bytes of an ordinary file.

    Args:
        file: its path.
        most: the most bytes that it may have.

    Raises:
        ValueError: it is no ordinary file, or larger.
        OSError: it is missing or may not be read.
    """
    with opened(file) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most:
            raise ValueError(f"{os.fspath(file)}: has {size:,} bytes, and at most {most:,} are read")
        return stream.read(most + 1)


def check_unpacked(packed: int, unpacked: int) -> None:
    """Raise ValueError where a packed file unpacks to so much that it was made to fill the memory.

    Args:
        packed: bytes of the file.
        unpacked: bytes of its content.
    """
    if unpacked > max(_ALWAYS, _RATIO * packed):
        raise ValueError(f"{packed:,} bytes that unpack to {unpacked:,} are refused: weights and images never do")
