"""What a person who waits is told, on a terminal and in a log."""

import io
import re
import sys
import threading
import time
from collections.abc import Callable

import pytest

from jaxvision.train import progress


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"AT_ONCE": 0.01, "SOON": 0.02, "OFTEN": 0.05, "LONG": 0.0}.items():
        monkeypatch.setattr(progress, name, seconds)


def test_nothing_is_said_until_somebody_watches(quick: None, capsys: pytest.CaptureFixture[str]):
    with progress.busy("compiling"):
        time.sleep(0.03)
    assert list(progress.counted([1, 2], "evaluating")) == [1, 2]
    progress.say("hello")
    with progress.shown(), progress.shown(False):
        progress.say("hello")
    assert capsys.readouterr().err == ""


def test_a_log_gets_a_line_soon_then_one_a_while_then_how_long_it_took(quick: None, capsys: pytest.CaptureFixture[str]):
    with progress.shown(), progress.busy("compiling the step", 26.0):
        time.sleep(0.1)
    first, second, *_, last = capsys.readouterr().err.splitlines()
    assert first == "compiling the step … (last time 26 s)" and second.startswith("compiling the step, 0 s so far …")
    assert last == "compiling the step: took 0 s"


def test_what_is_quick_leaves_no_line(capsys: pytest.CaptureFixture[str]):
    with progress.shown(), progress.busy("compiling"):
        pass
    with progress.shown():
        assert list(progress.counted(range(3), "evaluating")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_a_log_gets_a_line_a_while_about_what_is_counted(quick: None, capsys: pytest.CaptureFixture[str]):
    with progress.shown():
        for _ in progress.counted(range(4), "evaluating val"):
            time.sleep(0.03)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"evaluating val: batch 2 of 4, about 0 s left", lines[0]) and len(lines) == 2


def test_counts_without_an_end():
    assert progress.counted_line("reading", 3, None, 5.0, "image") == "reading: image 3, 5 s so far"
    assert progress.counted_line("reading", 2, 10, 60.0, "image") == "reading: image 2 of 10, about 4 min 0 s left"


class Terminal(io.StringIO):
    """A terminal that does not tell its width."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError


def test_a_terminal_gets_one_line_that_is_taken_away(quick: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "LONG", 9.0)
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with progress.shown():
        with progress.busy("compiling the step of a network with a very long name " * 3, 26.0):
            time.sleep(0.05)
        for _ in progress.counted(range(3), "evaluating"):
            time.sleep(0.11)
    shown = screen.getvalue()
    parts = [part for part in re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown)) if part.strip()]
    assert max(map(len, parts)) <= 80 and any(part.endswith("…") for part in parts)
    assert "\n" not in shown.strip() and any(part.startswith("evaluating:  67%") for part in parts)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99.0, "99 s"), (185.0, "3 min 5 s"), (17_220.0, "4 h 47 min")]
)
def test_durations(seconds: float, text: str):
    assert progress.duration(seconds) == text


def test_an_error_passes_through_and_ends_the_watch(quick: None):
    before = threading.active_count()
    fails: Callable[[], None] = lambda: (_ for _ in ()).throw(ValueError("no"))  # noqa: E731
    with pytest.raises(ValueError, match="no"), progress.shown(), progress.busy("compiling"):
        fails()
    assert threading.active_count() == before
