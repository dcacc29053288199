"""Training with a share of the labels: which records these are, and which of them are held out, to choose by."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Integer

from jaxvision.data.records import Record, Records, fetch


class Labelled(NamedTuple):
    """Indices into a split, of records whose labels are used."""

    fit: Int[np.ndarray, " n"]  # to learn from
    held_out: Int[np.ndarray, " m"]  # to choose settings by

    @property
    def all(self) -> Int[np.ndarray, " k"]:
        """Both, in the order of the split."""
        return np.sort(np.concatenate([self.fit, self.held_out]))


def class_balanced(labels: Int[np.ndarray, " N"], share: float, *, held_out: float = 0.2, seed: int = 0) -> Labelled:
    """As many records of each class as make up `share` of all, drawn by `seed`; of these, `held_out` of each class.

    A label of -1 stands for a record that cannot be read. A class that has fewer records gives all of them. With the
    same seed a larger share holds the smaller one, though they hold out others. ValueError: a class is left with fewer
    than one record to learn from and one to hold out.
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"--labels: {share} is no share of the training set; give a number above 0 and up to 1")
    classes = np.unique(labels[labels >= 0])
    wanted = round(share * len(labels) / len(classes))
    fit, kept = [], []
    for label in classes:
        members = np.random.default_rng((seed, label)).permutation(np.flatnonzero(labels == label))
        members = members if share == 1.0 else members[:wanted]
        if len(members) < 2:
            raise ValueError(f"--labels: at a share of {share} class {label} has {len(members)} of {len(labels)} "
                             "examples, and needs one to learn from and one to choose the learning rate by; "
                             "give a larger share")  # fmt: skip
        count = min(max(1, round(held_out * len(members))), len(members) - 1)
        kept.append(members[:count])
        fit.append(members[count:])
    return Labelled(np.sort(np.concatenate(fit)), np.sort(np.concatenate(kept)))


def labels_of(records: Records) -> Int[np.ndarray, " N"]:
    """The class of every record, read without decoding its image where the reader can; -1 where it cannot be read."""

    def label(index: int) -> int:
        try:
            return int(fetch(records, index, encoded=True)["label"])
        except (ValueError, OSError):
            return -1

    return np.array([label(i) for i in range(len(records))], np.int64)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Records {"row": int32 [F]}: numbers of rows from F sets at once, to train on what is kept in memory.

    There are as many records as the largest set has rows; the smaller ones come round again.
    """

    sets: tuple[Integer[np.ndarray, "_"], ...]

    def __len__(self) -> int:
        return max(map(len, self.sets))

    def __getitem__(self, index: int) -> Record:
        return {"row": np.array([rows[index % len(rows)] for rows in self.sets], np.int32)}

    def name(self, index: int) -> str:
        return f"row {index}"
