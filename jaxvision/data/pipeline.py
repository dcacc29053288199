"""From records to batches: shuffling, sharding over processes, transforms, read-ahead and exact resume.

The batch at a step is a pure function of (seed, step): the same for any number of processes and workers. A checkpoint
therefore holds integers only, and a run that stopped continues as if it had not. grain supplies threads and workers.
"""

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from absl import flags, logging
from jaxtyping import Int

from jaxvision.data import worker_process
from jaxvision.data.batches import EvalBatches, Loaded, Reader, Reporting, TrainBatches, named
from jaxvision.data.order import Order, Shuffled, rows_per_shard
from jaxvision.data.records import Records
from jaxvision.data.transforms import Transform

Batch = dict[str, np.ndarray]
_Log = dict[str, set[str]]  # finding -> names of the records that were logged for it

_MAX_THREADS = 4  # more wait for the interpreter lock
_BATCHES_AHEAD = 2  # ready and waiting in each worker process


class BatchIterator:
    """An iterator over the batches of one process.

    Records that could not be read are in `skipped` (name: reason), those that were not read in full, such as without a
    box that has no area, in `notes`. Each is logged once, however often the same data are iterated.
    """

    def __init__(
        self, records: Records, open_batches: Callable[[int], TrainBatches | EvalBatches], workers: int, log: _Log
    ) -> None:
        """Prepare to read; nothing is read before the first batch.

        Args:
            records: The records that the batches are made of.
            open_batches: A function that returns the random-access batches from a step on.
            workers: The number of processes that load ahead; 0: threads of this process.
            log: The records that were logged so far, shared by all iterators over the same data.
        """
        self._records, self._open, self._workers, self._log = records, open_batches, workers, log
        self._stream: Any = None  # grain's iterator, which can be closed
        self._step = 0
        self.skipped: dict[str, str] = {}
        self.notes: dict[str, str] = {}

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self._stream is None:
            self._stream = iter(_stream(self._open(self._step), self._workers))
        batch = self._received(next(self._stream))
        self._step += 1
        return batch

    def __len__(self) -> int:
        """Return the number of batches from the first one on; training batches never end."""
        return len(self._open(0))

    def close(self) -> None:
        """End the threads or worker processes; the next batch starts them again."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _received(self, loaded: Loaded) -> Batch:
        """Report what was skipped and return the arrays."""
        if loaded.error:
            self.close()
            raise ValueError(loaded.error)
        self._report("skipped record", loaded.skipped, self.skipped)
        self._report("incomplete record", loaded.notes, self.notes)
        # Plain views: workers hand over a subclass of ndarray that lives in shared memory.
        return {key: np.asarray(value) for key, value in loaded.batch.items()}

    def _report(self, finding: str, reasons: Mapping[int, str], known: dict[str, str]) -> None:
        for index, reason in reasons.items():
            name = self._records.name(index)
            known.setdefault(name, reason)
            logged = self._log.setdefault(finding, set())
            if name not in logged:
                logged.add(name)
                logging.warning("%s %d: %s", finding, len(logged), named(self._records, index, reason))


class TrainIterator(BatchIterator):
    """An endless iterator over training batches.

    Its state is a few integers, from which any number of processes and workers can continue.
    """

    def __init__(
        self, reader: Reader, order: Order, batch_size: int, workers: int, log: _Log, shard: int, shards: int
    ) -> None:
        """Prepare to read shard `shard` of `shards` of batches of `batch_size`; see `BatchIterator` for the others."""
        open_batches = functools.partial(TrainBatches, reader, order, batch_size, shard, shards)
        super().__init__(reader.records, open_batches, workers, log)
        self._identity = {"seed": reader.seed, "batch_size": batch_size, "records": len(reader.records)}

    def at(self, step: int) -> Batch:
        """Read the batch of a step in this thread alone, without moving there; nothing is read ahead.

        Raises ValueError where its records cannot be read.
        """
        return self._received(Reporting(self._open(step))[0])

    def get_state(self) -> dict[str, int]:
        """Return the number of batches so far, and the settings that decide the order of records."""
        return {"step": self._step, **self._identity}

    def set_state(self, state: dict[str, int]) -> None:
        """Continue from `state`; ValueError where it belongs to other data, another batch size or another seed."""
        for field, value in self._identity.items():
            if state[field] != value:
                raise ValueError(f"checkpoint was made with {field}={state[field]}, but this run has {field}={value}")
        self.close()
        self._step = state["step"]


def train(
    records: Records,
    transform: Transform,
    batch_size: int,
    *,
    seed: int,
    workers: int = 0,
    order: Order | None = None,
    strict: bool = False,
) -> Callable[[int, int], TrainIterator]:
    """Return a function that opens training data: `train(…)(shard, shards)` is an endless iterator.

    Each batch is a dict of arrays [batch_size / shards, …]. The batch at a step depends on the arguments and the step
    alone. A record that cannot be read is replaced by the next in the order, and logged.

    Args:
        records: The records of a split.
        transform: Turns each record into arrays of one shape; its randomness comes from (seed, position).
        batch_size: The rows of a batch over all processes.
        seed: Of the order and of the transform.
        workers: The number of processes that load ahead; 0: threads of this process.
        order: The order of records; by default a new permutation each epoch.
        strict: True to raise for a record that cannot be read, or only in part, instead of replacing it.

    Returns:
        A function of the number of this process (from 0) and the number of processes.

    Raises:
        ValueError: There are no records, or `batch_size` is below 1; while iterating, records are broken.
    """
    _check(records, batch_size)
    reader = Reader(records, transform, seed, strict)
    return functools.partial(_open_train, reader, order or Shuffled(len(records), seed), batch_size, workers, {})


def evaluate(
    records: Records,
    transform: Transform,
    batch_size: int,
    *,
    workers: int = 0,
    groups: Int[np.ndarray, "N"] | None = None,
    strict: bool = False,
) -> Callable[[int, int], BatchIterator]:
    """Return a function that opens evaluation data: `evaluate(…)(shard, shards)` iterates over every record once.

    The iterators of all processes are equally long. "_mask" (bool [batch_size / shards]) is False on rows that hold a
    copy, because the batch is padded or the record cannot be read.

    Args:
        records: The records of a split.
        transform: Turns each record into arrays of one shape, or of one shape for each group.
        batch_size: The rows of a batch over all processes.
        workers: The number of processes that load ahead; 0: threads of this process.
        groups: The group of each record; a batch holds records of one group, and the order is by group.
        strict: True to raise for a record that cannot be read, or only in part, instead of masking its row.

    Returns:
        A function of the number of this process (from 0) and the number of processes.

    Raises:
        ValueError: There are no records, or `batch_size` is below 1; while iterating, records are broken.
    """
    _check(records, batch_size)
    return functools.partial(_open_evaluate, Reader(records, transform, 0, strict), batch_size, workers, groups, {})


def _open_train(
    reader: Reader, order: Order, batch_size: int, workers: int, log: _Log, shard: int = 0, shards: int = 1
) -> TrainIterator:
    rows_per_shard(batch_size, shards)
    return TrainIterator(reader, order, batch_size, workers, log, shard, shards)


def _open_evaluate(
    reader: Reader,
    batch_size: int,
    workers: int,
    groups: Int[np.ndarray, "N"] | None,
    log: _Log,
    shard: int = 0,
    shards: int = 1,
) -> BatchIterator:
    rows_per_shard(batch_size, shards)
    batches = EvalBatches(reader, batch_size, shard, shards, groups)
    return BatchIterator(reader.records, lambda step: batches, workers, log)


def _check(records: Records, batch_size: int) -> None:
    if not len(records):
        raise ValueError("the split has no records; check --data")
    rows_per_shard(batch_size, 1)


def _stream(batches: TrainBatches | EvalBatches, workers: int) -> Any:
    """Read whole batches ahead; since work is split by batch, order and content are the same for any `workers`.

    Returns grain's data set of `Loaded`.
    """
    import grain  # takes half a second, which whoever asks for --help need not wait

    source = grain.MapDataset.source(Reporting(batches))
    if workers == 0:
        threads = min(os.cpu_count() or 1, _MAX_THREADS)
        return source.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads))
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # grain hands its flags to the workers, also in a program that has none
    options = grain.MultiprocessingOptions(min(workers, len(batches)), per_worker_buffer_size=_BATCHES_AHEAD)
    ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)
    return source.to_iter_dataset(ahead).mp_prefetch(options, worker_process.begin)
