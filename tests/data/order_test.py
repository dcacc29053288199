import numpy as np
import pytest

from jaxvision.data import order


def test_every_epoch_is_a_new_permutation():
    shuffled = order.Shuffled(10, seed=3)
    epochs = np.array([shuffled(p) for p in range(50)]).reshape(5, 10)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(10), (5, 1)))
    assert len({tuple(epoch) for epoch in epochs}) == 5
    assert [order.Shuffled(10, seed=3)(p) for p in range(50)] == epochs.ravel().tolist()
    assert [order.Shuffled(10, seed=4)(p) for p in range(10)] != epochs[0].tolist()


def test_the_next_in_line_stands_in():
    shuffled = order.Shuffled(7, seed=0)
    assert [shuffled(5, attempt) for attempt in range(10)] == [shuffled(5 + attempt) for attempt in range(10)]


@pytest.mark.parametrize("shards", [1, 2, 3, 6])
def test_shards_tile_each_global_batch(shards):
    for step in (0, 1, 1000):
        rows = [p for shard in range(shards) for p in order.positions(step, 12, shard, shards)]
        assert rows == list(range(12 * step, 12 * step + 12))


def test_uneven_batches_are_refused():
    for batch_size, shards in ((10, 4), (0, 1), (-2, 2)):
        with pytest.raises(ValueError, match=f"^batch_size={batch_size} does not divide evenly over {shards}"):
            order.rows_per_shard(batch_size, shards)
