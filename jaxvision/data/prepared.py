"""Records that are transformed once and then kept in memory: for small images that take long to read or to draw."""

import dataclasses

import numpy as np

from jaxvision.data.records import Record, Records
from jaxvision.data.transforms import Transform


@dataclasses.dataclass(frozen=True)
class Prepared:
    """`records` after `transform`, each of them read once, with the same random numbers whatever the epoch.

    Threads share what is kept, processes that load ahead (`--workers`) have copies.
    """

    records: Records
    transform: Transform
    kept: dict[int, Record] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Record:
        if index not in self.kept:
            self.kept[index] = self.transform(self.records[index], np.random.default_rng(index))
        return dict(self.kept[index])

    def name(self, index: int) -> str:
        return self.records.name(index)
