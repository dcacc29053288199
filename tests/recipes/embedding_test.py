"""Batches that ask a classifier for its features too."""

import numpy as np

from jaxvision.recipes.embedding import wanting_features


class Two:
    def __init__(self) -> None:
        self.left, self.closed = 2, False

    def __iter__(self) -> "Two":
        return self

    def __next__(self) -> dict:
        if not self.left:
            raise StopIteration
        self.left -= 1
        return {"image": np.zeros((3, 2, 2, 3)), "_mask": np.ones(3, bool)}

    def close(self) -> None:
        self.closed = True


def test_every_batch_wants_features():
    inner = Two()
    opened = wanting_features(lambda shard, shards: inner)(0, 1)
    batches = list(opened)
    assert len(batches) == 2 and all(batch["embed"].shape == (3,) for batch in batches)
    opened.close()
    assert inner.closed
