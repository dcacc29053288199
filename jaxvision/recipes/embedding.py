"""Data of `--mode=embed`."""

import numpy as np

from jaxvision.data.records import Record
from jaxvision.data.transforms import Transform, compose


def wanting_features(transform: Transform) -> Transform:
    """Return `transform` with "embed" added to its records, at which a classifier also predicts "features"."""
    return compose(transform, _want)


def _want(record: Record, rng: np.random.Generator) -> Record:
    return {**record, "embed": np.True_}
