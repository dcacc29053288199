"""A training run's metrics: they stay on the device while the next steps are computed, and are written as means."""

import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxvision.train.types import Metrics
from jaxvision.train.writer import Writer

IN_FLIGHT = 2  # steps handed over before the host waits: enough to hide the host, too few to pile up batches


class Window:
    """The metrics of the last steps, not fetched yet.

    A window is fetched when the one after it is full: by then it has long been computed, and the host need not wait.
    """

    def __init__(self, stage: str, writer: Writer):
        self.stage, self.writer = stage, writer
        self.previous: list[tuple[int, float, Metrics]] = []  # (step, when it was handed over, metrics)
        self.current: list[tuple[int, float, Metrics]] = []

    def add(self, step: int, metrics: Metrics) -> None:
        """Add the metrics of a step that was handed over to the device; wait where too many steps are under way."""
        self.current.append((step, time.monotonic(), metrics))
        if len(self.current) > IN_FLIGHT:
            jax.block_until_ready(self.current[-1 - IN_FLIGHT][2])
        self.writer.advance()

    def turn(self) -> None:
        """Begin a new window and write the one before the last. ValueError: one of its metrics is not finite."""
        if self.previous:
            self._write(*zip(*self.previous, strict=True))
        self.previous, self.current = self.current, []

    def flush(self) -> None:
        """Write everything, as one window. ValueError: a metric is not finite."""
        self.previous, self.current = self.previous + self.current, []
        self.turn()

    def _write(self, steps: tuple[int, ...], times: tuple[float, ...], metrics: tuple[Metrics, ...]) -> None:
        rows = jax.device_get(metrics)
        for step, row in zip(steps, rows, strict=True):
            _check_finite(step, row)
        values: dict[str, Any] = {f"train/{k}": np.mean([row[k] for row in rows]) for k in rows[0]}
        if len(steps) > 1:
            values["time/steps_per_second"] = (len(steps) - 1) / max(times[-1] - times[0], 1e-9)
        self.writer.write(self.stage, steps[-1], values)


def _check_finite(step: int, row: Mapping[str, Any]) -> None:
    for name, value in row.items():
        if not np.isfinite(value):
            raise ValueError(
                f"step {step}: train/{name} is {float(value)}; lower --optimizer.lr or set --optimizer.clip_norm "
                "(the same command goes on from the last checkpoint)"
            )
