"""A seed for each record, so that what is drawn for it on the device while evaluating is the same every time."""

import numpy as np

from jaxvision.data.records import Record
from jaxvision.data.transforms import Transform, compose


def with_seed(transform: Transform) -> Transform:
    """`transform`, after which the record also has "seed": a uint32 from the record's generator.

    In evaluation data a record's seed depends on its place in the split alone.
    """
    return compose(transform, _add_seed)


def _add_seed(record: Record, rng: np.random.Generator) -> Record:
    return {**record, "seed": rng.integers(2**32, dtype=np.uint32)}
