"""A seed as a part of each record, so that random numbers on the device are the same in every evaluation."""

import numpy as np

from jaxvision.data.records import Record
from jaxvision.data.transforms import Transform, compose


def with_seed(transform: Transform) -> Transform:
    """Return `transform` with "seed" uint32 added to its records.

    In evaluation data a record's seed depends on its position in the split alone.
    """
    return compose(transform, _add_seed)


def _add_seed(record: Record, rng: np.random.Generator) -> Record:
    return {**record, "seed": rng.integers(2**32, dtype=np.uint32)}
