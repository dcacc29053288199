"""Batches by number: pure functions from a step to the rows that one process contributes to it.

They run in threads and worker processes. What could not be read travels with the batch, to be reported once by the
process that iterates (see `pipeline`).
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxvision.data.order import Order, positions, rows_per_shard
from jaxvision.data.records import Record, Records, fetch
from jaxvision.data.transforms import FromFile, Transform

# A run of this many unreadable records is no bad luck: something is wrong with all of them.
_MAX_ATTEMPTS = 100


class Loaded(NamedTuple):
    """A batch and the records that were left out of it (index -> reason), or what stopped it."""

    batch: dict[str, np.ndarray]
    skipped: dict[int, str]
    error: str = ""


class DataError(ValueError):
    """Data that no batch can be made of; the message is one line for the user."""


@dataclasses.dataclass(frozen=True)
class Reader:
    """Reads and transforms single records; `strict` raises for a broken one instead of noting it as skipped."""

    records: Records
    transform: Transform
    seed: int
    strict: bool

    def read(self, index: int, position: int, skipped: dict[int, str]) -> Record | None:
        """Record `index`, transformed with the randomness of `position`; None where it cannot be read."""
        try:
            record = fetch(self.records, index, encoded=isinstance(self.transform, FromFile))
            return self.transform(record, np.random.default_rng((self.seed, position)))
        except (ValueError, OSError) as error:
            if self.strict:
                raise DataError(named(self.records, index, str(error))) from None
            skipped[index] = str(error)
            return None

    def stand_in(self, skipped: dict[int, str]) -> Record:
        """The first record that can be read, for rows that hold no example of their own."""
        for index in range(min(len(self.records), _MAX_ATTEMPTS)):
            record = self.read(index, index, skipped)
            if record is not None:
                return record
        raise self.none_readable(skipped)

    def none_readable(self, skipped: Mapping[int, str]) -> DataError:
        index, reason = next(iter(skipped.items()))
        return DataError(
            f"{len(skipped)} records in a row cannot be read; the first is {named(self.records, index, reason)}"
        )


@dataclasses.dataclass(frozen=True)
class Reporting:
    """Batches that hand a DataError over as a value: raised in a worker, it would arrive wrapped in a page of text."""

    batches: "TrainBatches | EvalBatches"

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Loaded:
        try:
            return self.batches[index]
        except DataError as error:
            return Loaded({}, {}, str(error))


@dataclasses.dataclass(frozen=True)
class TrainBatches:
    """Endless: `self[i]` is this process's share of global batch `start + i`."""

    reader: Reader
    order: Order
    batch_size: int
    shard: int
    shards: int
    start: int = 0

    def __len__(self) -> int:
        return 2**62 - self.start

    def __getitem__(self, index: int) -> Loaded:
        skipped: dict[int, str] = {}
        rows = Rows(rows_per_shard(self.batch_size, self.shards))
        for row, position in enumerate(positions(self.start + index, self.batch_size, self.shard, self.shards)):
            rows.put(row, self._record(position, skipped))
        return Loaded(rows.arrays, skipped)

    def _record(self, position: int, skipped: dict[int, str]) -> Record:
        failed: dict[int, str] = {}
        for attempt in range(min(len(self.reader.records), _MAX_ATTEMPTS)):
            record = self.reader.read(self.order(position, attempt), position, failed)
            if record is not None:
                skipped.update(failed)
                return record
        raise self.reader.none_readable(failed)


@dataclasses.dataclass(frozen=True)
class EvalBatches:
    """Finite: each record once over all processes, which yield equally many batches; `_mask` marks the real rows."""

    reader: Reader
    batch_size: int
    shard: int
    shards: int

    def __len__(self) -> int:
        return -(-len(self.reader.records) // self.batch_size)

    def __getitem__(self, index: int) -> Loaded:
        skipped: dict[int, str] = {}
        count = rows_per_shard(self.batch_size, self.shards)
        rows, mask = Rows(count), np.zeros(count, np.bool_)
        for row, position in enumerate(positions(index, self.batch_size, self.shard, self.shards)):
            record = self.reader.read(position, position, skipped) if position < len(self.reader.records) else None
            if record is not None:
                rows.put(row, record)
                mask[row] = True
        if not mask.any():
            rows.put(0, self.reader.stand_in(skipped))
        rows.repeat(int(mask.argmax()), ~mask)
        return Loaded({**rows.arrays, "_mask": mask}, skipped)


class Rows:
    """Arrays [count, …] that records are written into one by one; Python numbers become int32 or float32."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.arrays: dict[str, np.ndarray] = {}

    def put(self, row: int, record: Record) -> None:
        """Writes `record` at `row`; raises DataError where it differs from the others in keys or shapes."""
        values = {key: np.asarray(value) for key, value in record.items()}
        if not self.arrays:
            self.arrays = {key: _empty(self._count, value) for key, value in values.items()}
        if {key: value.shape for key, value in values.items()} != self._shapes():
            found = {key: value.shape for key, value in values.items()}
            raise DataError(f"records of one batch differ: {found} beside {self._shapes()}; fix the transform")
        for key, value in values.items():
            self.arrays[key][row] = value

    def repeat(self, source: int, rows: np.ndarray) -> None:
        """Copies row `source` to every row that the bool array `rows` marks."""
        for array in self.arrays.values():
            array[rows] = array[source]

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {key: array.shape[1:] for key, array in self.arrays.items()}


def named(records: Records, index: int, reason: str) -> str:
    """ "name: reason", where the reason does not start with the name already."""
    name = records.name(index)
    return reason if reason.startswith(name) else f"{name}: {reason}"


def _empty(count: int, value: np.ndarray) -> np.ndarray:
    narrowed = {np.dtype(np.int64): np.int32, np.dtype(np.float64): np.float32}
    return np.empty((count, *value.shape), narrowed.get(value.dtype, value.dtype))
