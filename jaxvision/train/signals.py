"""SIGTERM and SIGINT: a run that is told to stop saves what it has, and the same command goes on from there.

Python runs a signal's handler when the main thread comes back from the call that it is in. A compilation may take
minutes, so a second thread is told of the signal as well, and ends the process where nothing would be lost by it.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax

from jaxvision.files import remove_temporaries
from jaxvision.train.devices import any_process

SIGNALS = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 3.0  # seconds in which the main thread may come back from a call


class Interrupted(KeyboardInterrupt):
    """SIGTERM or SIGINT stopped the run, and what it had done is saved. No `except Exception` takes it for a fault."""

    def __init__(self, text: str, code: int = 0, *, agreed: bool = False):
        super().__init__(text)
        self.code = code  # for the shell: 0 where the same command goes on from what is saved
        self.agreed = agreed  # True where all of several processes stop, at the same step


class Stop:
    """Notes signals, and in places where nothing is lost by it raises `Interrupted` at once."""

    def __init__(self, text: str, code: int = 0):
        """Take the text of `Interrupted` and the exit code; -1: that of the signal, as without a handler."""
        self._text, self._code = text, code
        self._received: list[int] = []
        self.now = False  # True where a signal ends what is under way
        self.handled = threading.Event()  # set when the main thread has run the handler

    def __call__(self, agree: bool) -> bool:
        """Return True once a signal came.

        Args:
            agree: with several processes, True in the steps in which they ask each other: all at the same one. In
                others the answer is False.

        Returns:
            True if a signal came to this process, or while agreeing to any of them.
        """
        if jax.process_count() == 1:
            return bool(self._received)
        return agree and any_process(bool(self._received))

    def note(self, number: int, frame: Any) -> None:
        """Handle a signal."""
        self.handled.set()
        self._received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.now:
            self.now = False  # a second signal does not disturb what is put in order
            raise self.interrupted(number)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Raise `Interrupted` where a signal comes in the `with`, or came before. Several processes go on instead."""
        if jax.process_count() > 1:
            yield
            return
        self.now = True
        try:
            if self._received:
                raise self.interrupted(self._received[0])
            yield
        finally:
            self.now = False

    def interrupted(self, number: int) -> Interrupted:
        """Return the exception for a signal."""
        return Interrupted(self._text, 128 + number if self._code < 0 else self._code)


@contextlib.contextmanager
def stop_requests(stage: str) -> Iterator[Stop]:
    """Note SIGTERM and SIGINT instead of being ended by them; a second SIGINT raises KeyboardInterrupt."""
    stop = Stop(f"stopped in stage {stage}; the same command goes on from the last checkpoint")
    with _handling(stop):
        yield stop


@contextlib.contextmanager
def stop_at_once(what: str, code: int = 0) -> Iterator[None]:
    """Raise `Interrupted` at SIGTERM or SIGINT: for what keeps its results in files, each written whole.

    Args:
        what: what is under way, such as "stage svm", for the line.
        code: for the shell; -1: 128 and the signal's number, for what has to be done again.
    """
    rest = "the same command goes on from there" if code == 0 else "nothing is left half-written"
    stop = Stop(f"stopped in {what}; {rest}", code)
    with _handling(stop):
        stop.now = True
        yield


_stops: list[Stop] = []  # of the contexts that are open, the innermost last


@contextlib.contextmanager
def _handling(stop: Stop) -> Iterator[None]:
    before = {number: signal.signal(number, stop.note) for number in SIGNALS}
    _stops.append(stop)
    try:
        with contextlib.nullcontext() if len(_stops) > 1 else _watched():
            yield
    finally:
        _stops.pop()
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    """Tell a thread of each signal while the `with` lasts."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(read,), name="signals", daemon=True)
    watcher.start()
    unraisable, sys.unraisablehook = sys.unraisablehook, _again(sys.unraisablehook)
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        signal.set_wakeup_fd(before)
        os.close(write)
        watcher.join()
        os.close(read)


def _again(report: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Raise `Interrupted` once more where it was raised in a callback of the garbage collector, which drops it."""

    def hook(dropped: Any) -> None:
        if isinstance(dropped.exc_value, Interrupted) and _stops:
            _stops[-1].now = True
            # A moment later: a signal from here would be handled here, and what it raises dropped too.
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        else:
            report(dropped)

    return hook


def _watch(pipe: int) -> None:
    """End the process where a signal came and the main thread does not come back to handle it."""
    while numbers := os.read(pipe, 1):
        stop = _stops[-1] if _stops else None
        if stop is not None and numbers[0] in SIGNALS and not stop.handled.wait(PATIENCE) and stop.now:
            _end(stop.interrupted(numbers[0]))


def _end(error: Interrupted) -> None:
    remove_temporaries()
    sys.stderr.write(f"{error}\n")
    sys.stderr.flush()
    os._exit(error.code)
