"""One training at a time in a workdir: a lock that dies with its process, also over network folders."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows, where two trainings in one folder are not noticed
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"
"""The file in a workdir that a training holds locked; it names the process, and stays when the training ends."""


@contextlib.contextmanager
def one_writer(workdir: Path) -> Iterator[None]:
    """Hold the workdir's lock. ValueError: another process holds it; the text names its host and process.

    The lock is of the kind that the system takes back when the process ends, however it ends, and that processes
    started from it do not inherit.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / LOCK, "a+") as file:
        if fcntl is not None:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise ValueError(
                    f"{workdir}: {holder} is training there; wait until it ends, or choose another --workdir"
                ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
