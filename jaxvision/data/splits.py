"""The splits of a data set, those that are made where it lacks them, and where each was read from."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jaxvision.channels import IMAGENET_MEAN, IMAGENET_STD, Channels
from jaxvision.data.records import Records, Source, Subset

_VAL_SEED = 2012
_VAL_PARTS = 10  # one tenth of the training records becomes "val" where a source has none


def source_of(
    splits: Mapping[str, Records],
    class_names: tuple[str, ...],
    *,
    origins: Mapping[str, str] | None = None,
    left_out: Sequence[str] = (),
    mean: Channels = IMAGENET_MEAN,
    std: Channels = IMAGENET_STD,
) -> Source:
    """Make a source of the splits that a reader found, with the missing ones made from them.

    "val" is, where it is missing, the test split, or a fixed random tenth taken out of "train". A set without splits
    is "all": it gives "train" and "val" likewise, and "trainval" is all of it.

    Args:
        splits: the records of "train", "val", "test", "trainval" or "all", as far as the set has them.
        class_names: names of the classes, in the order of their labels.
        origins: for each split, the file or folder that lists it.
        left_out: a line for each annotation that the set has and its records lack.
        mean: of the pixels' channels, 0..255.
        std: standard deviation of the same.

    Returns:
        The source. A set of one record has no "val", since nothing can be taken out of it.
    """
    made, said = dict(splits), dict(origins or {})
    _tell_of_overlap(made, said)
    if "all" in made:
        made.setdefault("trainval", made["all"])
        said.setdefault("trainval", said.get("all", ""))
        if "train" not in made:
            made["train"], said["train"] = made["all"], said.get("all", "")
    if "val" not in made and "test" in made:
        made["val"], said["val"] = made["test"], f"the test split, {said.get('test', '')}".rstrip(", ")
    if "val" not in made and "train" in made:
        made.setdefault("all", made["train"])
    if "val" not in made and "train" in made and len(made["train"]) > 1:
        origin = said.get("train", "")
        made["train"], made["val"] = held_out(made["train"])
        said["train"] = f"{origin or 'the set'}, less a random tenth"
        said["val"] = f"a random tenth of {origin or 'the set'}"
    return Source(made, class_names, mean, std, said, tuple(left_out))


def _tell_of_overlap(splits: Mapping[str, Records], origins: dict[str, str]) -> None:
    """Add to the origins of "val" and "test" how many of their files are also trained on, where readers have files."""
    trained = _files(splits.get("train"))
    for split in ("val", "test") if trained else ():
        if twice := len(trained & _files(splits.get(split))):
            origins[split] = (
                f"{origins.get(split, split)} ({twice} of its images also in {origins.get('train', 'train')})"
            )


def _files(records: Records | None) -> set[str]:
    """Return the paths of a split's images; none where its reader keeps no paths."""
    found = getattr(records, "files", None) or getattr(records, "images", ())
    return set(found) if isinstance(found, tuple) else set()


def held_out(train: Records) -> tuple[Records, Records]:
    """Return nine tenths and one tenth of the records (at least one), always the same ones."""
    order = np.random.default_rng(_VAL_SEED).permutation(len(train))
    count = -(-len(train) // _VAL_PARTS)
    return Subset(train, np.sort(order[:-count])), Subset(train, np.sort(order[-count:]))


def is_made(source: Source, split: str) -> bool:
    """Tell whether a split is a part of a set that has none of that name, made by `held_out`."""
    records = source.splits[split]
    return isinstance(records, Subset) and records.parent is source.splits.get("all")


def whole(source: Source) -> Source:
    """Return the source for evaluation alone: a set without splits is evaluated in full, by whichever name.

    A set with a validation or test split of its own keeps it. A missing training split is stood in for, since
    experiments are built with one; it is not read.
    """
    splits, origins = dict(source.splits), dict(source.origins)
    if "all" in splits and "test" not in splits:
        origin = f"all of {origins.get('all') or origins.get('train', '').removesuffix(', less a random tenth')}"
        for name in ("val", "test"):
            splits[name], origins[name] = splits["all"], origin
    for name in ("train", "trainval"):
        splits.setdefault(name, next(iter(splits.values())))
    return dataclasses.replace(source, splits=splits, origins=origins)
