"""How a run reads its data, whatever the experiment."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxvision.data import pipeline
from jaxvision.data.order import GroupedByShape
from jaxvision.data.records import Records
from jaxvision.data.transforms import Transform


class Inputs(NamedTuple):
    """The launcher's `--seed`, `--workers` and `--strict`, with which every experiment opens its data.

    `groups` (an id a record, see `canvas.Canvases.groups`) keeps records of different groups in different batches.
    """

    seed: int = 0
    workers: int = 0
    strict: bool = False

    def train(
        self, records: Records, transform: Transform, batch_size: int, groups: Int[np.ndarray, "N"] | None = None
    ) -> Callable[[int, int], pipeline.TrainIterator]:
        """See `pipeline.train`."""
        order = None if groups is None else GroupedByShape(groups, batch_size, self.seed)
        return pipeline.train(
            records,
            transform,
            batch_size,
            seed=self.seed,
            workers=self.workers,
            order=order,
            strict=self.strict,
        )

    def evaluate(
        self, records: Records, transform: Transform, batch_size: int, groups: Int[np.ndarray, "N"] | None = None
    ) -> Callable[[int, int], pipeline.BatchIterator]:
        """See `pipeline.evaluate`."""
        return pipeline.evaluate(
            records, transform, batch_size, workers=self.workers, groups=groups, strict=self.strict
        )
