"""The pace of a stage's steps, without the time of compiling and evaluating, and what is left at that pace."""

import time
from collections.abc import Callable

from jaxvision.train.progress import OFTEN, duration


class Pace:
    """Counts the steps of a stage; its clock begins when the first of them is done."""

    def __init__(self, name: str, step: int, steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare to count.

        Args:
            name: the stage's name.
            step: the step that the stage starts or goes on from.
            steps: its number of steps.
            clock: gives the time in seconds.
        """
        self.name, self.done, self.total = name, step, steps
        self._clock = clock
        self._first: tuple[int, float] | None = None  # the first step that was done, and when
        self._said = 0.0  # when the last line was written

    def advance(self) -> None:
        """Count a step."""
        self.done += 1
        if self._first is None:
            self._first = self.done, self._clock()

    def pause(self, seconds: float) -> None:
        """Leave seconds in which no step was taken out of the count."""
        if self._first is not None:
            self._first = self._first[0], self._first[1] + seconds

    def due_line(self) -> str:
        """Return a line after the first step and one a minute, "" in between."""
        if self._first is None or (self.done > self._first[0] and self._clock() - self._said < OFTEN):
            return ""
        self._said = self._clock()
        steps, seconds = self.done - self._first[0], self._clock() - self._first[1]
        return f"{self.name} step {self.done}{self.at(self.done, steps / seconds if steps and seconds > 0 else None)}"

    def at(self, step: int, rate: float | None) -> str:
        """Return what follows the number of a step in a line about it: of how many, how fast, and what is left.

        Args:
            step: the number of the step.
            rate: steps a second; None where it is not known.
        """
        self._said = self._clock()
        if not self.total or not rate:
            return f"/{self.total}" if self.total else ""
        return f"/{self.total}  {rate:.3g} steps/s  ETA {duration((self.total - step) / rate)}"
