"""A cache of records in memory, with a limit in bytes."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxvision.data.records import Record

LIMIT = 2**28  # bytes


@dataclasses.dataclass
class RecordCache:
    """Records by index, the first that are asked for and as many as `limit` bytes hold; none is ever given up.

    Threads share a cache; processes that load ahead (`--workers`) have copies.
    """

    limit: int = LIMIT  # bytes of the arrays that stay in memory
    size: int = 0  # bytes of those in it
    records: dict[int, Record] = dataclasses.field(default_factory=dict)

    def get(self, index: int, make: Callable[[], Record]) -> Record:
        """Return record `index` from the cache, or else from `make`, and keep it if it fits.

        The dict is the caller's own. Its arrays are read-only, since all callers share those that are kept.
        """
        if index in self.records:
            return dict(self.records[index])
        record = {key: _read_only(value) for key, value in make().items()}
        size = sum(value.nbytes for value in record.values() if isinstance(value, np.ndarray))
        if self.size + size <= self.limit and index not in self.records:
            self.records[index] = record
            self.size += size
        return dict(record)


def _read_only(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.setflags(write=False)
    return view
