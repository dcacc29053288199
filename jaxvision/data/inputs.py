"""How a run reads its data, whatever the experiment."""

from collections.abc import Callable
from typing import NamedTuple

from jaxvision.data import pipeline
from jaxvision.data.records import Records
from jaxvision.data.transforms import Transform


class Inputs(NamedTuple):
    """The launcher's `--seed`, `--workers` and `--strict`, with which every experiment opens its data."""

    seed: int = 0
    workers: int = 0
    strict: bool = False

    def train(
        self, records: Records, transform: Transform, batch_size: int
    ) -> Callable[[int, int], pipeline.TrainIterator]:
        """See `pipeline.train`."""
        return pipeline.train(records, transform, batch_size, seed=self.seed, workers=self.workers, strict=self.strict)

    def evaluate(
        self, records: Records, transform: Transform, batch_size: int
    ) -> Callable[[int, int], pipeline.BatchIterator]:
        """See `pipeline.evaluate`."""
        return pipeline.evaluate(records, transform, batch_size, workers=self.workers, strict=self.strict)
