"""A signal is noted, or stops at once; afterwards signals do what they did before."""

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxvision.train.signals import Interrupted, stop_at_once, stop_requests

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@SIGNALS
def test_a_signal_is_noted(number: int):
    before = signal.getsignal(number)
    with stop_requests("train") as stop:
        assert not stop(True)
        os.kill(os.getpid(), number)
        assert stop(False) and stop(True)
    assert signal.getsignal(number) == before


def test_a_second_interrupt_is_an_ordinary_one():
    with stop_requests("train") as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop(True)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@SIGNALS
def test_a_signal_stops_at_once(number: int):
    before = signal.getsignal(number)
    with (
        pytest.raises(Interrupted, match="stopped in stage made; the same command goes on"),
        stop_at_once("stage made"),
    ):
        os.kill(os.getpid(), number)
        raise AssertionError("goes on after the signal")
    assert signal.getsignal(number) == before


@SIGNALS
def test_a_signal_ends_what_may_end_at_once_and_is_noted_elsewhere(number: int):
    with stop_requests("train") as stop:
        with pytest.raises(Interrupted, match="stopped in stage train; the same command goes on"), stop.at_once():
            os.kill(os.getpid(), number)
            raise AssertionError("goes on after the signal")
        with pytest.raises(Interrupted), stop.at_once():
            raise AssertionError("begins although a signal has come")
    assert stop(False)


def test_a_signal_in_a_callback_of_the_garbage_collector_is_not_lost():
    """Python drops what such a callback raises, and jax has one."""

    def callback(phase: str, info: dict) -> None:
        if phase == "start":
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match="stopped in export"), stop_at_once("export"):
        gc.callbacks.append(callback)
        try:
            gc.collect()
        finally:
            gc.callbacks.remove(callback)
        time.sleep(10)
        raise AssertionError("the signal was lost")


def test_what_has_to_be_done_again_ends_with_the_code_of_the_signal():
    with pytest.raises(Interrupted) as raised, stop_at_once("--mode=evaluate", code=-1):
        os.kill(os.getpid(), signal.SIGTERM)
    assert raised.value.code == 143 and not isinstance(raised.value, Exception)


_IN_A_LONG_CALL = """
import ctypes, signal, sys
from pathlib import Path
from jaxvision.files import atomic_open
from jaxvision.train import signals
signals.PATIENCE = 0.2
with signals.stop_at_once("stage made"), atomic_open(Path(sys.argv[1]) / "file") as file:
    file.write(b"half")
    signal.pthread_sigmask(signal.SIG_BLOCK, signals.SIGNALS)  # so that no signal wakes this thread up
    print("begun", flush=True)
    ctypes.CDLL(None).sleep(60)
"""


def test_a_call_that_does_not_return_is_not_waited_for(tmp_path: Path):
    command = [sys.executable, "-c", _IN_A_LONG_CALL, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        time.sleep(0.3)  # for it to be in the call
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert time.monotonic() - began < 5 and process.returncode == 0
    assert errors == "stopped in stage made; the same command goes on from there\n" and not list(tmp_path.iterdir())
