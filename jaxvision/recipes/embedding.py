"""Data of `--mode=embed`."""

from collections.abc import Iterator

import numpy as np

from jaxvision.train.types import Batch, Batches, Data


def wanting_features(data: Data) -> Data:
    """Return data whose batches have "embed", at which a classifier's `predict` also returns "features"."""
    return lambda shard, shards: _Wanting(data(shard, shards))


class _Wanting:
    """Batches with "embed"."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = next(self._batches)
        return {**batch, "embed": np.ones(len(batch["_mask"]), np.bool_)}

    def close(self) -> None:
        """End the threads or worker processes."""
        self._batches.close()
