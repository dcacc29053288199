"""The order in which a training run visits its records, and the positions of it that one process reads."""

import dataclasses
import functools
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int


@runtime_checkable
class Order(Protocol):
    """The record at each position of an endless pass over the data: a pure function, the same in every process.

    `order(position, attempt)` with attempt = 1, 2, … is the record that replaces one that cannot be read. Positions
    k * B … (k + 1) * B - 1 make up global batch k, so that an order decides which records share a batch.
    """

    def __call__(self, position: int, attempt: int = 0) -> int: ...


@dataclasses.dataclass(frozen=True)
class Shuffled:
    """Every record once an epoch, in a new permutation each epoch; the next of it replaces a broken record."""

    length: int  # records
    seed: int

    def __call__(self, position: int, attempt: int = 0) -> int:
        epoch, offset = divmod(position + attempt, self.length)
        return int(_permutation(self.length, self.seed, epoch)[offset])


@dataclasses.dataclass(frozen=True)
class GroupedByShape:
    """Batches that each hold records of one group, such as images that fit one canvas.

    Each group is an endless sequence of its own permutations, cut into batches; records that do not fill a batch at the
    end of an epoch go into the next epoch. No record of a group is seen twice before all are seen once. After e epochs
    of len(groups) / batch_size batches every record was seen e times, except for less than a batch in each group.
    Within an epoch the batches of the groups are mixed at random. Another record of the group replaces a broken one; if
    the whole group is broken, one of the next group does.
    """

    groups: Int[np.ndarray, "N"]  # of each record
    batch_size: int  # rows of a global batch
    seed: int

    def __call__(self, position: int, attempt: int = 0) -> int:
        batch, row = divmod(position, self.batch_size)
        group, nth = self._of_batch(batch)
        epoch, offset = divmod(nth * self.batch_size + row, len(self._members[group]))
        while attempt >= len(self._members[group]):
            attempt -= len(self._members[group])
            group = (group + 1) % len(self._members)
        members = self._members[group]
        place = _permutation(len(members), self.seed, epoch, group + 2)[(offset + attempt) % len(members)]
        return int(members[place])

    @functools.cached_property
    def _members(self) -> list[Int[np.ndarray, "n"]]:
        return [np.flatnonzero(self.groups == group) for group in np.unique(self.groups)]

    def _of_batch(self, batch: int) -> tuple[int, int]:
        """Return the group of a batch, and how many batches of that group came before it."""
        epoch = batch * self.batch_size // len(self.groups)  # at most the epoch of the batch
        while sum(self._batches(epoch + 1)) <= batch:
            epoch += 1
        before = self._batches(epoch)
        quota = tuple(after - done for after, done in zip(self._batches(epoch + 1), before, strict=True))
        mixed = _mixed(quota, self.seed, epoch)
        rank = batch - sum(before)
        group = int(mixed[rank])
        return group, before[group] + int(np.count_nonzero(mixed[:rank] == group))

    def _batches(self, epochs: int) -> list[int]:
        """Return the number of whole batches that each group has filled after so many epochs."""
        return [epochs * len(members) // self.batch_size for members in self._members]


@dataclasses.dataclass(frozen=True)
class InShares:
    """Batches with a fixed number of records that `chosen` marks, in rows spread evenly over the batch.

    Marked and other records each come in endless permutations of their own; where there are none of one kind, the other
    takes its rows. The next of the same kind replaces a broken record.
    """

    chosen: Bool[np.ndarray, "N"]
    count: int  # rows of a global batch that hold marked records
    batch_size: int  # rows of a global batch
    seed: int

    def __call__(self, position: int, attempt: int = 0) -> int:
        batch, row = divmod(position, self.batch_size)
        before = row * self.count // self.batch_size
        if (row + 1) * self.count // self.batch_size > before:
            kind, nth = 1, batch * self.count + before
        else:
            kind, nth = 0, batch * (self.batch_size - self.count) + row - before
        members = self._members[kind] if len(self._members[kind]) else self._members[1 - kind]
        epoch, offset = divmod(nth + attempt, len(members))
        return int(members[_permutation(len(members), self.seed, epoch, kind)[offset]])

    @functools.cached_property
    def _members(self) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "m"]]:
        return np.flatnonzero(~self.chosen), np.flatnonzero(self.chosen)


def evaluation_rows(groups: Int[np.ndarray, "N"], batch_size: int) -> Int[np.ndarray, "T B"]:
    """Return the record of each row of each batch: every record once, one group a batch, ascending; -1 is padding."""
    batches = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        rows: np.ndarray = np.full((-(-len(members) // batch_size), batch_size), -1, np.int64)
        rows.ravel()[: len(members)] = members
        batches.append(rows)
    return np.concatenate(batches)


def positions(step: int, batch_size: int, shard: int, shards: int) -> range:
    """Return the positions of the rows that one process contributes to a global batch.

    Args:
        step: The number of the batch.
        batch_size: The rows of a global batch.
        shard: The number of the process, from 0.
        shards: The number of processes.

    Returns:
        Positions in the endless pass over the data; see `Order`.

    Raises:
        ValueError: `batch_size` does not divide evenly.
    """
    rows = rows_per_shard(batch_size, shards)
    first = step * batch_size + shard * rows
    return range(first, first + rows)


def rows_per_shard(batch_size: int, shards: int) -> int:
    """Return the number of rows of a global batch that one process holds; ValueError if they do not divide evenly."""
    if batch_size < 1 or batch_size % shards:
        raise ValueError(f"batch_size={batch_size} does not divide evenly over {shards} processes; use a multiple")
    return batch_size // shards


# A batch spans at most two epochs of each of a few groups, and threads read ahead into the next batch.
@functools.lru_cache(maxsize=16)
def _permutation(length: int, *entropy: int) -> Int[np.ndarray, "N"]:
    return np.random.default_rng(entropy).permutation(length)


@functools.lru_cache(maxsize=4)
def _mixed(quota: tuple[int, ...], seed: int, epoch: int) -> Int[np.ndarray, "T"]:
    """Return the groups of an epoch's batches in random order; `quota` is the number of batches of each."""
    return np.random.default_rng((seed, epoch, 1)).permutation(np.repeat(np.arange(len(quota)), quota))
