"""SIGTERM and SIGINT: a run that is told to stop saves what it has, and the same command goes on from there."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import jax

from jaxvision.train.devices import any_process


class Interrupted(Exception):
    """SIGTERM or SIGINT stopped the run. What it had done is saved."""


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[bool], bool]]:
    """Note SIGTERM and SIGINT instead of being ended by them.

    Yields `stop(agree)`: True once a signal came. With several processes the answer is False unless `agree` is set,
    which all of them must do at the same step; then it is True where a signal came to any of them. A second SIGINT
    raises KeyboardInterrupt.
    """
    received = []

    def note(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def stop(agree: bool) -> bool:
        if jax.process_count() == 1:
            return bool(received)
        return agree and any_process(bool(received))

    with _handling(note):
        yield stop


@contextlib.contextmanager
def stop_at_once(stage: str) -> Iterator[None]:
    """Raise `Interrupted` at SIGTERM or SIGINT: for a stage that keeps what it made in files, each written whole."""

    def leave(number: int, frame: Any) -> None:
        raise Interrupted(f"stopped in stage {stage}; the same command goes on from there")

    with _handling(leave):
        yield


@contextlib.contextmanager
def _handling(handler: Callable[[int, Any], None]) -> Iterator[None]:
    before = {s: signal.signal(s, handler) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
