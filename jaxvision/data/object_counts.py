"""The numbers of objects in the images of a split, from which the slots for objects in a batch are chosen.

A batch has a fixed number of slots, since a network compiles once for each shape. Evaluation needs a slot for every
object of every image; training may have fewer (see `canvas.place`).
"""

from typing import NamedTuple

import numpy as np

from jaxvision.data.records import Records, counts, evenly, fetch

REGIONS = 16  # slots of a training image for regions with objects that do not fit
_SAMPLE = 200  # images that are read where a reader does not know its numbers of objects
_FINE, _COARSE, _TURN = 8, 64, 128  # slots are rounded up to a multiple of 8, from 128 on of 64


class Slots(NamedTuple):
    """The slots for objects in each image of a batch."""

    objects: int  # for one object each
    regions: int = 0  # behind these, for regions with the objects that do not fit
    too_many: int = 0  # images that have more objects than slots


def rounded(most: int) -> int:
    """Round a number of objects up to a number of slots, so that similar data sets compile the same shapes."""
    multiple = _FINE if most <= _TURN else _COARSE
    return max(1, -(-most // multiple)) * multiple


def evaluation_slots(records: Records) -> int:
    """Return slots for every object of every image; where the reader does not know the numbers, all images are read."""
    return rounded(_most(records))


def training_slots(records: Records, wanted: int = 0) -> Slots:
    """Return the slots of training images.

    Args:
        records: the images. Where their reader does not know the numbers of objects, a sample of them is read.
        wanted: the number of slots for objects; 0: as many as the image with the most objects needs.

    Returns:
        The slots; there are some for regions where an image has, or may have, more objects than slots.
    """
    known = counts(records)
    if wanted or known is None:
        objects = wanted or rounded(_most(evenly(records, min(len(records), _SAMPLE))))
        too_many = 0 if known is None else int(np.sum(known > objects))
        return Slots(objects, REGIONS if known is None or too_many else 0, too_many)
    return Slots(rounded(int(known.max(initial=0))))


def _most(records: Records) -> int:
    known = counts(records)
    return int(known.max(initial=0)) if known is not None else max(_count(records, i) for i in range(len(records)))


def _count(records: Records, index: int) -> int:
    try:
        return len(fetch(records, index, encoded=True).get("boxes", ()))
    except (ValueError, OSError):  # the pipeline names the file when it reads the pixels
        return 0
