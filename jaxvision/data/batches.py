"""Batches by number: pure functions from a step to the rows that one process contributes to its batch.

They run in threads and worker processes. The reasons why records could not be read travel with the batch, and the
process that iterates logs them (see `pipeline`).
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxvision.data.order import Order, evaluation_rows, positions, rows_per_shard
from jaxvision.data.records import INDEX, NOTE, Record, Records, fetch
from jaxvision.data.transforms import FromFile, Transform

# So many unreadable records in a row are no coincidence: something is wrong with all of them.
_MAX_ATTEMPTS = 100


class Loaded(NamedTuple):
    """A batch, and what there is to report of it."""

    batch: dict[str, np.ndarray]
    skipped: dict[int, str]  # index -> reason, of records that could not be read
    error: str = ""  # the reason why there is no batch
    notes: Mapping[int, str] = {}  # index -> note, of records that were read in part


class Findings(NamedTuple):
    """The reports about the records of one batch, which reading adds to."""

    skipped: dict[int, str]  # index -> reason, of records that could not be read
    notes: dict[int, str]  # index -> note, of records that were read in part


class DataError(ValueError):
    """Data that no batch can be made of; the message is one line for the user."""


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader of single, transformed records.

    The transform gets the record's position in the split under `records.INDEX`; a note about the part that it, or the
    reader of the source, left out comes back under `records.NOTE`. Neither key reaches the batch.
    """

    records: Records
    transform: Transform
    seed: int  # of the transform's randomness
    strict: bool  # True to raise for a broken record instead of skipping it

    def read(self, index: int, position: int, findings: Findings) -> Record | None:
        """Read and transform one record.

        Args:
            index: The record's position in the split.
            position: The row's position in the pass over the data, which seeds the transform.
            findings: Gets the reason, where the record cannot be read, and its note.

        Returns:
            The transformed record; None where it cannot be read.

        Raises:
            DataError: The record cannot be read, or only in part, and `strict` is set.
        """
        try:
            record = {**fetch(self.records, index, encoded=isinstance(self.transform, FromFile)), INDEX: index}
            record = dict(self.transform(record, np.random.default_rng((self.seed, position))))
            record.pop(INDEX, None)
            if note := record.pop(NOTE, None):
                findings.notes[index] = note
                if self.strict:
                    raise ValueError(note)
            return record
        except (ValueError, OSError) as error:
            if self.strict:
                raise DataError(named(self.records, index, str(error))) from None
            findings.skipped[index] = str(error)
            return None

    def stand_in(self, candidates: Iterable[int], findings: Findings) -> Record:
        """Read the first of `candidates` that can be read, to fill rows without a record; DataError where none can."""
        for _, index in zip(range(_MAX_ATTEMPTS), candidates, strict=False):
            record = self.read(index, index, findings)
            if record is not None:
                return record
        raise self.none_readable(findings.skipped)

    def none_readable(self, skipped: Mapping[int, str]) -> DataError:
        """Return the error for a run of records that cannot be read."""
        index, reason = next(iter(skipped.items()))
        return DataError(
            f"{len(skipped)} records in a row cannot be read; the first is {named(self.records, index, reason)}"
        )


@dataclasses.dataclass(frozen=True)
class Reporting:
    """Batches with a DataError as a value: raised in a worker process, it would arrive wrapped in a page of text."""

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
    """Endless training batches: `self[i]` is this process's share of global batch `start + i`."""

    reader: Reader
    order: Order
    batch_size: int  # rows of a global batch
    shard: int  # number of this process
    shards: int  # number of processes
    start: int = 0  # step

    def __len__(self) -> int:
        return 2**62 - self.start

    def __getitem__(self, index: int) -> Loaded:
        findings = Findings({}, {})
        rows = Rows(rows_per_shard(self.batch_size, self.shards))
        for row, position in enumerate(positions(self.start + index, self.batch_size, self.shard, self.shards)):
            rows.put(row, self._record(position, findings))
        return Loaded(rows.arrays, findings.skipped, notes=findings.notes)

    def _record(self, position: int, findings: Findings) -> Record:
        failed = Findings({}, findings.notes)
        for attempt in range(min(len(self.reader.records), _MAX_ATTEMPTS)):
            record = self.reader.read(self.order(position, attempt), position, failed)
            if record is not None:
                findings.skipped.update(failed.skipped)
                return record
        raise self.reader.none_readable(failed.skipped)


@dataclasses.dataclass(frozen=True)
class EvalBatches:
    """Finite evaluation batches: each record once over all processes, which have equally many batches.

    "_mask" marks the rows that hold a record; the other rows are copies of one of these.
    """

    reader: Reader
    batch_size: int  # rows of a global batch
    shard: int  # number of this process
    shards: int  # number of processes
    groups: Int[np.ndarray, "N"] | None = None  # of each record; a batch holds records of one (`order.evaluation_rows`)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Loaded:
        findings = Findings({}, {})
        count = rows_per_shard(self.batch_size, self.shards)
        rows, mask = Rows(count), np.zeros(count, np.bool_)
        for row, item in enumerate(self._rows[index][self.shard * count : (self.shard + 1) * count]):
            record = self.reader.read(int(item), int(item), findings) if item >= 0 else None
            if record is not None:
                rows.put(row, record)
                mask[row] = True
        if not mask.any():
            rows.put(0, self.reader.stand_in(self._like(int(self._rows[index][0])), findings))
        rows.repeat(int(mask.argmax()), ~mask)
        return Loaded({**rows.arrays, "_mask": mask}, findings.skipped, notes=findings.notes)

    @functools.cached_property
    def _groups(self) -> Int[np.ndarray, "N"]:
        return np.zeros(len(self.reader.records), np.int64) if self.groups is None else self.groups

    @functools.cached_property
    def _rows(self) -> Int[np.ndarray, "T B"]:
        return evaluation_rows(self._groups, self.batch_size)

    def _like(self, item: int) -> list[int]:
        """Return all records, those of the same group first, so that a stand-in has the group's shape if possible."""
        return [int(i) for i in np.argsort(self._groups != self._groups[item], kind="stable")]


class Rows:
    """Arrays [count, …] that records are written to row by row; 64-bit numbers become int32 or float32."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.arrays: dict[str, np.ndarray] = {}

    def put(self, row: int, record: Record) -> None:
        """Write `record` to `row`; DataError where it differs from the others in keys or shapes."""
        values = {key: np.asarray(value) for key, value in record.items()}
        if not self.arrays:
            self.arrays = {key: _empty(self._count, value) for key, value in values.items()}
        if {key: value.shape for key, value in values.items()} != self._shapes():
            shapes = {key: value.shape for key, value in values.items()}
            raise DataError(f"records of one batch differ: {shapes} beside {self._shapes()}; fix the transform")
        for key, value in values.items():
            self.arrays[key][row] = value

    def repeat(self, source: int, rows: np.ndarray) -> None:
        """Copy row `source` to every row that the bool array `rows` marks."""
        for array in self.arrays.values():
            array[rows] = array[source]

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {key: array.shape[1:] for key, array in self.arrays.items()}


def named(records: Records, index: int, reason: str) -> str:
    """Put the name of a record before a reason that does not start with it.

    Args:
        records: The records of a split.
        index: The position of the record.
        reason: Why it cannot be read, or only in part.

    Returns:
        "name: reason".
    """
    name = records.name(index)
    return reason if reason.startswith(name) else f"{name}: {reason}"


def _empty(count: int, value: np.ndarray) -> np.ndarray:
    narrowed = {np.dtype(np.int64): np.int32, np.dtype(np.float64): np.float32}
    return np.empty((count, *value.shape), narrowed.get(value.dtype, value.dtype))
