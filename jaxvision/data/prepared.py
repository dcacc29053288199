"""Records that are transformed once and then kept in memory: for small images that take long to read or to draw."""

import dataclasses

import numpy as np

from jaxvision.data.record_cache import RecordCache
from jaxvision.data.records import Record, Records
from jaxvision.data.transforms import Transform


@dataclasses.dataclass(frozen=True)
class Prepared:
    """`records` after `transform`, with the same random numbers whatever the epoch; read once while the cache has room.

    The arrays of the records are read-only.
    """

    records: Records
    transform: Transform
    cache: RecordCache = dataclasses.field(default_factory=RecordCache, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Record:
        return self.cache.get(index, lambda: self._transformed(index))

    def name(self, index: int) -> str:
        """Return the name of the record before the transform."""
        return self.records.name(index)

    def _transformed(self, index: int) -> Record:
        return self.transform(self.records[index], np.random.default_rng(index))
