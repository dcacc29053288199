"""Data that is made when it is first read."""

from collections.abc import Iterator

import numpy as np

from jaxvision.recipes.lazy_data import lazily


def test_data_is_made_once_and_not_before_it_is_opened():
    made = []

    def make():
        made.append(1)
        return opened

    def opened(shard: int, shards: int) -> Iterator[dict]:
        yield {"shard": np.array([shard])}

    data = lazily(make)
    assert not made
    assert [int(next(data(shard, 2))["shard"][0]) for shard in (0, 1)] == [0, 1] and made == [1]
