"""Progress for the person who waits: a bar or a timer on a terminal; elsewhere a line at first and one a minute.

Whatever takes long says so through `busy` and `counted`, without knowing who watches: they show nothing until a program
asks for it with `shown`.
"""

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

AT_ONCE = 0.5  # seconds of silence before a terminal shows something
SOON = 2.0  # seconds of silence before a line is written where there is no terminal
OFTEN = 60.0  # seconds between lines where there is no terminal
LONG = 5.0  # seconds of a wait that leaves a line when it is over

_watched: ContextVar[bool] = ContextVar("watched", default=False)


@contextlib.contextmanager
def shown(watched: bool = True) -> Iterator[None]:
    """Show progress on stderr during the `with`, or not."""
    before = _watched.set(watched)
    try:
        yield
    finally:
        _watched.reset(before)


def say(line: str) -> None:
    """Write a line to stderr, above any bar; progress that is not shown writes none."""
    if _watched.get():
        tqdm.write(line, file=sys.stderr)


@contextlib.contextmanager
def busy(what: str, last: float | None = None) -> Iterator[None]:
    """Say during the `with` that something goes on, and for how long it has.

    Args:
        what: what goes on, such as "compiling the step".
        last: the seconds that it took the last time, where that is known.
    """
    if not _watched.get():
        yield
        return
    began, done = time.monotonic(), threading.Event()
    before = f" (last time {duration(last)})" if last is not None else ""
    said: list[str] = []

    def watch() -> None:
        if not terminal():
            wait = SOON
            while not done.wait(wait):
                now = "" if not said else f", {duration(time.monotonic() - began)} so far"
                said.append(f"{what}{now} …{before}")
                tqdm.write(said[-1], file=sys.stderr)
                wait = OFTEN
            return
        if done.wait(AT_ONCE):
            return
        with bar(bar_format="{desc}", leave=False) as line:
            while True:
                line.set_description_str(fitted(f"{what} … {duration(time.monotonic() - began)}{before}"))
                if done.wait(1.0):
                    return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        took = time.monotonic() - began
        if said or took > LONG:
            tqdm.write(f"{what}: took {duration(took)}", file=sys.stderr)


def counted(items: Iterable[Item], what: str, total: int | None = None, unit: str = "batch") -> Iterator[Item]:
    """Yield the items, and show how many have been dealt with.

    Args:
        items: the items.
        what: what is done to them, such as "evaluating".
        total: their number; None where it is not known and `items` has no length.
        unit: what they are.
    """
    total = _length(items) if total is None else total
    with counting(what, total, unit) as advance:
        for item in items:
            yield item
            advance()


@contextlib.contextmanager
def counting(what: str, total: int | None, unit: str = "batch") -> Iterator[Callable[[], None]]:
    """Give a function that is called once for each item that has been dealt with.

    Args:
        what: what is done to them.
        total: their number; None where it is not known.
        unit: what they are.
    """
    if not _watched.get():
        yield lambda: None
        return
    if terminal():
        with bar(total=total, desc=what, unit=unit, leave=False, delay=AT_ONCE) as line:
            yield lambda: line.update() and None
        return
    began = time.monotonic()
    state = {"count": 0, "last": began}

    def advance() -> None:
        state["count"] += 1
        now = time.monotonic()
        if now - state["last"] >= OFTEN:
            state["last"] = now
            tqdm.write(counted_line(what, int(state["count"]), total, now - began, unit), file=sys.stderr)

    yield advance


def counted_line(what: str, count: int, total: int | None, seconds: float, unit: str) -> str:
    """Return the line about so many items done in so many seconds.

    Args:
        what: what is done to them.
        count: the items that are done.
        total: the number of all; None where it is not known.
        seconds: the time that they took.
        unit: what they are.
    """
    if total is None:
        return f"{what}: {unit} {count}, {duration(seconds)} so far"
    return f"{what}: {unit} {count} of {total}, about {duration(seconds / count * (total - count))} left"


def terminal() -> bool:
    """Return whether a person watches stderr."""
    return sys.stderr.isatty()


def bar(**settings: Any) -> tqdm:
    """Open a bar that keeps to one line, also of a terminal that does not tell its width."""
    wide = {"dynamic_ncols": True} if _known_width() else {"ncols": 79}
    return tqdm(file=sys.stderr, **wide, **settings)


def fitted(text: str) -> str:
    """Cut a text to the width of the terminal."""
    width = shutil.get_terminal_size((80, 24)).columns - 1
    return text if len(text) <= width else text[: width - 1] + "…"


def duration(seconds: float) -> str:
    """Format a time: "12 s", "3 min 5 s", "4 h 47 min"."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min {whole % 60} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _length(items: Any) -> int | None:
    try:
        return len(items)
    except TypeError:
        return None


def _known_width() -> bool:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError):
        return False
