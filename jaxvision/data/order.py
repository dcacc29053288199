"""In which order a training run visits its records, and which positions of it one process reads."""

import dataclasses
import functools
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int


@runtime_checkable
class Order(Protocol):
    """The record at each position of an endless pass over the data: a pure function, the same in every process.

    `order(position, attempt)` with attempt = 1, 2, … names who stands in where the record could not be read. Positions
    k * B … (k + 1) * B - 1 make up global batch k, so an order can decide what a batch is made of.
    """

    def __call__(self, position: int, attempt: int = 0) -> int: ...


@dataclasses.dataclass(frozen=True)
class Shuffled:
    """Every record once an epoch, newly permuted each epoch; the next in line stands in for a broken one."""

    length: int
    seed: int

    def __call__(self, position: int, attempt: int = 0) -> int:
        epoch, offset = divmod(position + attempt, self.length)
        return int(_permutation(self.length, self.seed, epoch)[offset])


@dataclasses.dataclass(frozen=True)
class GroupedByShape:
    """Batches of which each holds records of one group, such as images that fit one canvas (`groups`: one id a record).

    Each group is an endless line of its own permutations, cut into batches; what does not fill a batch at the end of an
    epoch waits for the next one. So of a group's records, none is seen twice before all are seen once, and after e
    epochs of len(groups) / batch_size batches each was seen e times, but for less than a batch a group that still
    waits. Within an epoch the batches of the groups are mixed at random. Another of the group stands in for a broken
    record; where the whole group is broken, one of the next group.
    """

    groups: Int[np.ndarray, "N"]
    batch_size: int
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
        """The group of a batch, and how many batches of that group came before it."""
        epoch = batch * self.batch_size // len(self.groups)  # no later than the one it is in
        while sum(self._batches(epoch + 1)) <= batch:
            epoch += 1
        before = self._batches(epoch)
        quota = tuple(after - done for after, done in zip(self._batches(epoch + 1), before, strict=True))
        mixed = _mixed(quota, self.seed, epoch)
        rank = batch - sum(before)
        group = int(mixed[rank])
        return group, before[group] + int(np.count_nonzero(mixed[:rank] == group))

    def _batches(self, epochs: int) -> list[int]:
        """How many whole batches each group has filled after so many epochs."""
        return [epochs * len(members) // self.batch_size for members in self._members]


@dataclasses.dataclass(frozen=True)
class InShares:
    """Batches in each of which `count` rows, spread evenly, hold records that `chosen` marks, the others the rest.

    Both kinds come in endless permutations of their own; where one has no records, the other takes its rows. The next
    in line stands in for a broken record.
    """

    chosen: Bool[np.ndarray, "N"]
    count: int
    batch_size: int
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
    """Every record once, in batches of one group each, groups and records in ascending order; -1 fills them up."""
    batches = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        rows: np.ndarray = np.full((-(-len(members) // batch_size), batch_size), -1, np.int64)
        rows.ravel()[: len(members)] = members
        batches.append(rows)
    return np.concatenate(batches)


def positions(step: int, batch_size: int, shard: int, shards: int) -> range:
    """The global positions of the rows that one of `shards` processes contributes to global batch `step`."""
    rows = rows_per_shard(batch_size, shards)
    first = step * batch_size + shard * rows
    return range(first, first + rows)


def rows_per_shard(batch_size: int, shards: int) -> int:
    """How many rows of a global batch one process holds; raises ValueError where they do not divide evenly."""
    if batch_size < 1 or batch_size % shards:
        raise ValueError(f"batch_size={batch_size} does not divide evenly over {shards} processes; use a multiple")
    return batch_size // shards


# A batch spans at most two epochs, of each of a few groups; threads read ahead into the next.
@functools.lru_cache(maxsize=16)
def _permutation(length: int, *entropy: int) -> Int[np.ndarray, "N"]:
    return np.random.default_rng(entropy).permutation(length)


@functools.lru_cache(maxsize=4)
def _mixed(quota: tuple[int, ...], seed: int, epoch: int) -> Int[np.ndarray, "T"]:
    """Each group's number as often as its quota of batches says, in random order."""
    return np.random.default_rng((seed, epoch, 1)).permutation(np.repeat(np.arange(len(quota)), quota))
