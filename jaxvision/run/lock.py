"""One training at a time in a workdir, or one of each variant of a comparison: locks that die with their process."""

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxvision.files import held

LOCK = "lock"
"""The file in a workdir that a training holds locked; it names the process, and stays when the training ends."""


@contextlib.contextmanager
def one_writer(workdir: Path, only: Sequence[str] = ()) -> Iterator[None]:
    """Hold the workdir's lock, or share it with trainings of other variants and hold those of some variants.

    Args:
        workdir: the folder, which is made where it is missing.
        only: names of variants of a comparison; () to hold the whole workdir.

    Raises:
        ValueError: another process holds it; the text names its host and process where they are known.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if only:
            _hold(stack, workdir / LOCK, workdir, shared=True)
        for name in only or ("",):
            _hold(stack, workdir / (f"{LOCK}-{name}" if name else LOCK), workdir)
        yield


def _hold(stack: contextlib.ExitStack, path: Path, workdir: Path, *, shared: bool = False) -> None:
    """Hold one file until the end of the stack, and write into it by whom it is held, unless others share it."""
    try:
        file = stack.enter_context(held(path, shared=shared))
    except OSError:
        holder = path.read_text().strip() or "another process"
        raise ValueError(
            f"{workdir}: {holder} is training there; wait until it ends, or choose another --workdir"
        ) from None
    if not shared:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        file.flush()
