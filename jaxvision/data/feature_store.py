"""A store of features on disk: sharded .npy files, each written whole, so that a run that stopped can continue.

An item (an image) has several rows (of its windows). File fc7-00003.npy holds the feature "fc7" of the items of the
fourth shard, one after the other, and opens with `np.load`; features.json describes the content.
"""

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Int

from jaxvision.files import DISK_FULL, atomic_open, atomic_write

Precision = Literal["float32", "float16"]
Features = Mapping[str, Float[np.ndarray, "_ _"]]
Compute = Callable[[Int[np.ndarray, " M"]], Iterator[Features]]
"""A function that yields the features of the given items, one item after the other."""

_REPORT_EVERY = 10.0  # seconds


@dataclasses.dataclass(frozen=True)
class FeatureStore:
    """A folder of features that are written, or are going to be."""

    folder: Path
    widths: Mapping[str, int]  # numbers in a row of each feature
    rows: Mapping[str, Int[np.ndarray, " N"]]  # number of rows of each item, for each feature
    precision: Precision = "float32"
    per_shard: int = 64  # items in a file

    @property
    def items(self) -> int:
        """The number of items."""
        return len(next(iter(self.rows.values())))

    @property
    def shards(self) -> int:
        """The number of files of each feature."""
        return -(-self.items // self.per_shard)

    def members(self, shard: int) -> Int[np.ndarray, " M"]:
        """Return the items of a shard."""
        return np.arange(shard * self.per_shard, min((shard + 1) * self.per_shard, self.items))

    def shape(self, name: str, shard: int) -> tuple[int, int]:
        """Return the shape of the array in the file of feature `name` and `shard`."""
        return int(self.rows[name][self.members(shard)].sum()), self.widths[name]

    def path(self, name: str, shard: int) -> Path:
        """Return the path of the file of feature `name` and `shard`."""
        return self.folder / f"{name}-{shard:05d}.npy"

    def bytes(self, shard: int) -> int:
        """Return the size of a shard's files in bytes, without their headers."""
        return sum(int(np.prod(self.shape(name, shard))) for name in self.rows) * np.dtype(self.precision).itemsize

    def whole(self, shard: int) -> bool:
        """Return True if all files of a shard are there, with the right shape and length."""
        return all(self._open(name, shard) is not None for name in self.rows)

    def read(self, name: str, item: int) -> Float32[np.ndarray, "R F"]:
        """Read the rows of feature `name` of an item; ValueError where their file is missing or broken."""
        shard, place = divmod(item, self.per_shard)
        array = self._open(name, shard)
        if array is None:
            raise ValueError(f"{self.path(name, shard)}: missing or broken; --from_stage=features writes it again")
        counts = self.rows[name][self.members(shard)]
        first = int(counts[:place].sum())
        return np.array(array[first : first + int(counts[place])], np.float32)

    def _open(self, name: str, shard: int) -> np.ndarray | None:
        try:
            array = np.load(self.path(name, shard), mmap_mode="r")
        except Exception:  # NumPy's errors for a missing file, or one shorter than its header requires
            return None
        return array if array.shape == self.shape(name, shard) and array.dtype == self.precision else None


def write(store: FeatureStore, compute: Compute, say: Callable[[str], None]) -> None:
    """Compute and write every shard that is not there whole.

    Args:
        store: The folder and its content.
        compute: Yields the features of the items that are missing.
        say: Called with a line for the user: first the size of the missing files, then the progress.

    Raises:
        ValueError: The disk has not enough room, or is full while writing.
    """
    store.folder.mkdir(parents=True, exist_ok=True)
    missing = [shard for shard in range(store.shards) if not store.whole(shard)]
    needed, free = sum(map(store.bytes, missing)), shutil.disk_usage(store.folder).free
    done = f", {store.shards - len(missing)} of {store.shards} shards are there" if len(missing) < store.shards else ""
    say(f"{store.folder}: {_size(needed)} of {store.precision} to write, {_size(free)} free{done}")
    if needed > free:
        raise ValueError(
            f"{store.folder}: features need {_size(needed)}, but {_size(free)} are free; make room, take a --workdir "
            f"elsewhere{_cheaper(store)}"
        )
    _describe(store)
    if missing:
        _write_shards(store, missing, compute(np.concatenate([store.members(s) for s in missing])), say)


def _write_shards(
    store: FeatureStore, missing: list[int], items: Iterator[Features], say: Callable[[str], None]
) -> None:
    began = reported = time.monotonic()
    for count, shard in enumerate(missing, start=1):
        parts = [next(items) for _ in store.members(shard)]
        for name in store.rows:
            array = np.concatenate([part[name] for part in parts]).astype(store.precision)
            if array.shape != store.shape(name, shard):
                raise ValueError(f"{name}: features of shape {array.shape}, not {store.shape(name, shard)}")
            _save(store, store.path(name, shard), array)
        now = time.monotonic()
        if now - reported > _REPORT_EVERY:
            reported, left = now, (now - began) / count * (len(missing) - count)
            say(f"{store.folder}: {count} of {len(missing)} shards, {left:.0f} s to go")


def _save(store: FeatureStore, path: Path, array: Float[np.ndarray, "N F"]) -> None:
    """Write the file whole, or not at all."""
    try:
        with atomic_open(path) as file:
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
            file.write(np.ascontiguousarray(array).data.cast("B") if array.size else b"")  # np.save hides why
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise ValueError(
            f"{path}: the disk is full; make room{_cheaper(store)}; the same command goes on from there"
        ) from None


def _describe(store: FeatureStore) -> None:
    rows = {name: int(counts.sum()) for name, counts in store.rows.items()}
    about = {"items": store.items, "per_shard": store.per_shard, "dtype": store.precision, "rows": rows}
    atomic_write(store.folder / "features.json", json.dumps({**about, "widths": dict(store.widths)}, indent=2))


def _cheaper(store: FeatureStore) -> str:
    return " or halve them with --features.precision=float16" if store.precision == "float32" else ""


def _size(count: int) -> str:
    unit = next(u for u in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("bytes", 1)) if count >= u[1] or u[1] == 1)
    return f"{count / unit[1]:.3g} {unit[0]}"
