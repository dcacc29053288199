"""Lines about the pace: the first step is no measure of it, nor are evaluations."""

from jaxvision.train.pace import Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_pace_begins_behind_the_first_step_and_leaves_out_pauses():
    clock = Clock()
    pace = Pace("train", 10, 110, clock)
    assert pace.due_line() == ""
    clock.now = 86.0  # of compiling
    pace.advance()
    assert pace.due_line() == "train step 11/110"
    clock.now += 10.0
    pace.advance()
    assert pace.due_line() == ""
    clock.now += 100.0
    pace.pause(100.0)
    clock.now += 10.0
    pace.advance()
    assert pace.due_line() == "train step 13/110  0.1 steps/s  ETA 16 min 10 s"
    assert pace.due_line() == ""


def test_a_line_of_metrics_counts_as_one():
    clock = Clock()
    pace = Pace("train", 0, 10, clock)
    pace.advance()
    pace.due_line()
    clock.now = 59.0
    assert pace.at(4, 2.0) == "/10  2 steps/s  ETA 3 s"
    pace.advance()
    clock.now = 100.0
    assert pace.due_line() == ""
    clock.now = 120.0
    assert pace.due_line().startswith("train step 2/10")


def test_without_steps_there_is_no_pace():
    assert Pace("make", 0, 0).at(0, None) == "" and Pace("train", 0, 5).at(1, None) == "/5"
