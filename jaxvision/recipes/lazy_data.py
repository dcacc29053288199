"""Data that is made when it is first read, after earlier stages have written what it depends on."""

import functools
from collections.abc import Callable

from jaxvision.train.types import Data


def lazily(make: Callable[[], Data]) -> Data:
    """Return data that calls `make` once, when it is first opened."""
    made = functools.cache(make)
    return lambda shard, shards: made()(shard, shards)
