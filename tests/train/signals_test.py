"""A signal is noted, or stops at once; afterwards signals do what they did before."""

import os
import signal

import pytest

from jaxvision.train.signals import Interrupted, stop_at_once, stop_requests

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@SIGNALS
def test_a_signal_is_noted(number: int):
    before = signal.getsignal(number)
    with stop_requests() as stop:
        assert not stop(True)
        os.kill(os.getpid(), number)
        assert stop(False) and stop(True)
    assert signal.getsignal(number) == before


def test_a_second_interrupt_is_an_ordinary_one():
    with stop_requests() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop(True)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@SIGNALS
def test_a_signal_stops_at_once(number: int):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="stopped in stage made; the same command goes on"), stop_at_once("made"):
        os.kill(os.getpid(), number)
        raise AssertionError("goes on after the signal")
    assert signal.getsignal(number) == before
