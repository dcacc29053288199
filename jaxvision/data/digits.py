"""`digits`: the 1,797 handwritten digits (8×8 pixels) that come with scikit-learn, so that nothing is downloaded."""

import dataclasses
import functools
import gzip
from importlib import util
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from jaxvision.channels import Channels
from jaxvision.data import specs
from jaxvision.data.records import Record, Source, label_names

# Over the training split, 0..255.
MEAN: Channels = (77.9, 77.9, 77.9)
STD: Channels = (95.9, 95.9, 95.9)

_TRAIN_FRACTION = 0.8
_SPLIT_SEED = 1998


@dataclasses.dataclass(frozen=True)
class Digits:
    """Records of digits: image uint8 RGB [8, 8, 3] and label 0..9."""

    images: UInt8[np.ndarray, "N 8 8"]  # grey
    labels: Int[np.ndarray, "N"]  # 0..9
    ids: Int[np.ndarray, "N"]  # position in scikit-learn's own order

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Record:
        return {"image": np.repeat(self.images[index][..., None], 3, axis=2), "label": int(self.labels[index])}

    def name(self, index: int) -> str:
        """Return the kind of source and the position in it."""
        return f"digits/{self.ids[index]}"


def load(spec: str) -> Source:
    """Read `digits`, always split 80/20 within each class, or `digits:count=64`, the first 64 of each split."""
    options = specs.counts(spec, {"count": len(_all())})
    splits = {name: digits(name, options["count"]) for name in ("train", "val")}
    return Source(splits, label_names(10), MEAN, STD)


def digits(split: str, count: int | None = None) -> Digits:
    """Return the first `count` (default: all) digits of split "train" or "val", which share none."""
    everything = _all()
    ids = _split_ids()[split][:count]
    return Digits(everything.images[ids], everything.labels[ids], ids)


@functools.cache
def _all() -> Digits:
    """Read the file that scikit-learn ships, a line of 64 pixels from 0 to 16 and a label for each digit.

    scikit-learn itself is not imported: that takes more than a second.
    """
    found = util.find_spec("sklearn")
    assert found is not None and found.origin is not None
    with gzip.open(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    images = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return Digits(images, table[:, -1].astype(np.int64), np.arange(len(images)))


@functools.cache
def _split_ids() -> dict[str, Int[np.ndarray, "N"]]:
    rng = np.random.default_rng(_SPLIT_SEED)
    train, val = [], []
    for label in range(10):
        ids = rng.permutation(np.flatnonzero(_all().labels == label))
        cut = round(len(ids) * _TRAIN_FRACTION)
        train.append(ids[:cut])
        val.append(ids[cut:])
    return {"train": rng.permutation(np.concatenate(train)), "val": rng.permutation(np.concatenate(val))}
