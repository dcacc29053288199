"""A training run's metrics: they stay on the device while the next steps are computed, and are written as means.

A window is the steps between two multiples of --log_every. Evaluations, checkpoints and stops do not cut it: a
checkpoint holds the metrics of the window that it stands in, so that a resumed run writes the same rows.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxvision.train.types import Metrics
from jaxvision.train.writer import Writer

IN_FLIGHT = 2  # steps handed over before the host waits: enough to hide the host, too few to pile up batches

Steps = list[tuple[int, float | None, Mapping[str, Any]]]
"""For each step its number, the time when it was handed over (None: in another process), and its metrics."""


class Window:
    """The metrics of the last steps, not fetched yet.

    A window is fetched when the one after it is full: by then it has long been computed, and the host need not wait.
    """

    def __init__(self, stage: str, writer: Writer):
        self.stage, self.writer = stage, writer
        self.previous: Steps = []
        self.current: Steps = []

    def add(self, step: int, metrics: Metrics) -> None:
        """Add the metrics of a step that was handed over to the device; wait where too many steps are under way."""
        self.current.append((step, time.monotonic(), metrics))
        if len(self.current) > IN_FLIGHT:
            jax.block_until_ready(self.current[-1 - IN_FLIGHT][2])
        self.writer.advance()

    def turn(self) -> None:
        """Begin a new window and write the one before the last. ValueError: one of its metrics is not finite."""
        self.write_whole()
        self.previous, self.current = self.current, []

    def write_whole(self) -> None:
        """Write the window that is full, if it is not written yet. ValueError: one of its metrics is not finite."""
        whole, self.previous = self.previous, []
        if whole:
            self._write(whole)

    def flush(self) -> None:
        """Write everything, the window that is not full as a shorter one. ValueError: a metric is not finite."""
        self.turn()
        self.write_whole()

    def unfinished(self) -> list[dict[str, float]]:
        """Return the metrics of the window that is not full, for a checkpoint. ValueError: one is not finite."""
        return [{name: float(value) for name, value in row.items()} for _, row in _fetched(self.current)]

    def go_on(self, step: int, rows: Sequence[Mapping[str, float]]) -> None:
        """Take up the window that a checkpoint was saved in.

        Args:
            step: the last step that was done.
            rows: what `unfinished` returned then.
        """
        first = step - len(rows) + 1
        self.current = [(first + i, None, {k: np.float32(v) for k, v in row.items()}) for i, row in enumerate(rows)]

    def _write(self, steps: Steps) -> None:
        rows = [row for _, row in _fetched(steps)]
        values: dict[str, Any] = {f"train/{k}": np.mean([row[k] for row in rows]) for k in rows[0]}
        times = [moment for _, moment, _ in steps if moment is not None]
        if len(times) > 1:
            values["time/steps_per_second"] = (len(times) - 1) / max(times[-1] - times[0], 1e-9)
        self.writer.write(self.stage, steps[-1][0], values)


def _fetched(steps: Steps) -> list[tuple[int, Mapping[str, Any]]]:
    """Fetch the metrics of steps from the device. ValueError: one is not finite."""
    rows = jax.device_get([metrics for _, _, metrics in steps])
    for (step, _, _), row in zip(steps, rows, strict=True):
        for name, value in row.items():
            if not np.isfinite(value):
                raise ValueError(
                    f"step {step}: train/{name} is {float(value)}; lower --optimizer.lr or set --optimizer.clip_norm "
                    "(the same command goes on from the last checkpoint)"
                )
    return [(step, row) for (step, _, _), row in zip(steps, rows, strict=True)]
