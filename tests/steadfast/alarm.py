"""An end to what would last for ever."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

SECONDS = 5  # of the processor's time that the reader of a file may take


class TooLong(BaseException):
    """Something took far longer than `SECONDS`; no `except Exception` of what is tested takes it for an error."""


@contextlib.contextmanager
def alarm() -> Iterator[None]:
    """Raise TooLong inside the `with` after ten times `SECONDS` by the clock, as others may use the processor, too."""

    def ring(number: int, frame: Any) -> None:
        raise TooLong(f"not over after {10 * SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 10 * SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
