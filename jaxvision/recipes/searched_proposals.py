"""Proposals of Selective Search as input of a detector: its flags, and the proposals of a split in the workdir."""

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from jaxvision.data.inputs import Inputs
from jaxvision.data.proposals import PER_FILE, Searched, stored
from jaxvision.data.records import Records, Source
from jaxvision.recipes.run_config import SplitConfig
from jaxvision.train.types import Result, Say


@dataclasses.dataclass(frozen=True)
class SelectiveSearchFlags:
    """Flags of Selective Search (Uijlings et al. 2013)."""

    strategy: Literal["fast", "quality", "rcnn"] = "fast"  # color spaces and segmentations that are combined
    most: int = 2000  # the number of best proposals that are kept of an image


def search_split(
    inputs: Inputs, data: str, split: str, records: Records, search: SelectiveSearchFlags
) -> Sequence:  # of Boxes; a check of that would read them
    """Return the proposals of a split's images, from the workdir where an earlier call has left them.

    Each split of each data set has a folder of its own, since a run may be evaluated on other images than it was
    trained on.

    Args:
        inputs: the run's seed, workers and workdir.
        data: the value of `--data`.
        split: the name of the split, such as "train[:90%]".
        records: the images of the split.
        search: the flags of Selective Search.

    Returns:
        Boxes float32 [N, 4] of each image in its own pixels, the best first; any where only shapes matter.
    """
    if inputs.shapes_only:
        return [np.array([[0, 0, 32, 32]], np.float32)] * len(records)
    folder = inputs.folder("proposals") / f"{split.partition('[')[0]}-{zlib.crc32(f'{data} {split}'.encode()):08x}"
    workers = (inputs.workers or None) if len(records) > PER_FILE else 0  # one file cannot be shared
    return stored(records, folder, search.strategy, inputs.seed, search.most, workers=workers)


def search_both(config: SplitConfig, source: Source, stored: Callable[[str], Sequence], say: Say) -> Result:
    """Search the images of the training and the validation split, which an earlier call may have done.

    Args:
        config: names the splits.
        source: their images.
        stored: returns the proposals of each image of a split, by its name, and searches where there are none yet.
        say: writes a line to the log.

    Returns:
        The mean number of proposals of an image in each split.
    """
    metrics: Result = {}
    for role, split in (("train", config.train_split), ("val", config.val_split)):
        say(f"proposals: {len(source[split])} {role} images")
        metrics[f"proposals/{role}_an_image"] = float(np.mean([len(boxes) for boxes in stored(split)]))
    return metrics


def search_when_read(records: Records, search: SelectiveSearchFlags, seed: int) -> Records:
    """Return records that are searched for proposals each time one is read, as is right for a user's images.

    Args:
        records: images without proposals.
        search: the flags of Selective Search.
        seed: the seed of its random order.

    Returns:
        The same records with "proposals".
    """
    return Searched(records, search.strategy, seed, search.most)
