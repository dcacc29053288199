"""Choice of the records whose labels are used in training with few labels, and of those held out for validation."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Integer

from jaxvision.data.counts import image_labels
from jaxvision.data.records import Record, Records, fetch


class Labelled(NamedTuple):
    """Indices into a split of the records whose labels are used."""

    fit: Int[np.ndarray, " n"]  # for training
    held_out: Int[np.ndarray, " m"]  # for the choice of settings

    @property
    def all(self) -> Int[np.ndarray, " k"]:
        """Both, ascending."""
        return np.sort(np.concatenate([self.fit, self.held_out]))


def class_balanced(labels: Int[np.ndarray, " N"], share: float, *, held_out: float = 0.2, seed: int = 0) -> Labelled:
    """Choose equally many records of each class, at random, and hold out a part of them.

    With the same seed a larger share includes the smaller one, though other records are held out.

    Args:
        labels: The class of each record; -1 for one that cannot be read.
        share: The share of all records to choose; a class with too few gives all of its records.
        held_out: The share of the chosen records of each class that is held out, at least one; 0: none.
        seed: Of the choice.

    Returns:
        The records to train on and those held out.

    Raises:
        ValueError: `share` is not in (0, 1], or a class has too few chosen records, one for either part.
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"--labels: {share} is no share of the training set; give a number above 0 and up to 1")
    classes = np.unique(labels[labels >= 0])
    per_class = round(share * len(labels) / len(classes))
    fit, kept = [], []
    for label in classes:
        members = np.random.default_rng((seed, label)).permutation(np.flatnonzero(labels == label))
        members = members if share == 1.0 else members[:per_class]
        if len(members) < (2 if held_out else 1):
            raise ValueError(f"--labels: at a share of {share} class {label} has {len(members)} of {len(labels)} "
                             "examples, and needs one to learn from and one to choose the learning rate by; "
                             "give a larger share")  # fmt: skip
        count = min(max(1, round(held_out * len(members))), len(members) - 1) if held_out else 0
        kept.append(members[:count])
        fit.append(members[count:])
    return Labelled(np.sort(np.concatenate(fit)), np.sort(np.concatenate(kept)))


def labels_of(records: Records) -> Int[np.ndarray, " N"]:
    """Return the class of every record; -1 for one that cannot be read.

    No file is opened where the reader holds its labels. Others' records are read, undecoded where the reader can.
    """
    if (held := image_labels(records)) is not None:
        return held.astype(np.int64)

    def label(index: int) -> int:
        try:
            return int(fetch(records, index, encoded=True)["label"])
        except (ValueError, OSError):
            return -1

    return np.array([label(i) for i in range(len(records))], np.int64)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Records {"row": int32 [F]} with a row number from each of F sets, for training on arrays in memory.

    There are as many records as the largest set has rows; smaller sets start again from their first.
    """

    sets: tuple[Integer[np.ndarray, "_"], ...]  # row numbers

    def __len__(self) -> int:
        return max(map(len, self.sets))

    def __getitem__(self, index: int) -> Record:
        return {"row": np.array([rows[index % len(rows)] for rows in self.sets], np.int32)}

    def name(self, index: int) -> str:
        """Return the name of a record, for log and error messages."""
        return f"row {index}"
