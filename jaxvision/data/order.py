"""In which order a training run visits its records, and which positions of it one process reads."""

import dataclasses
import functools
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int


@runtime_checkable
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


# A batch spans at most two epochs; threads read ahead into the next.
@functools.lru_cache(maxsize=4)
def _permutation(length: int, seed: int, epoch: int) -> Int[np.ndarray, "N"]:
    return np.random.default_rng((seed, epoch)).permutation(length)
