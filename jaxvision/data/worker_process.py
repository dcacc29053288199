"""The start of a process that works for another one: it outlives it in no case."""

import multiprocessing
import os
import signal
import threading
from types import FrameType

from jaxvision.files import remove_temporaries


def begin(number: int = 0, count: int = 1) -> None:
    """Leave Ctrl-C to the parent, end at once when the parent asks for it, and end with the parent however it ends.

    Args:
        number: of this process among its like; not used.
        count: of its like; not used.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end(number: int, frame: FrameType | None) -> None:
    remove_temporaries()
    os._exit(128 + number)


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        remove_temporaries()
        os._exit(1)
