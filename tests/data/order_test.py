import collections

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


def groups_of(*counts: int) -> np.ndarray:
    groups = np.repeat(np.arange(len(counts)) * 3, counts)  # ids need not follow one another
    return np.random.default_rng(0).permutation(groups)


@pytest.mark.parametrize("counts", [(24,), (17, 5), (30, 1, 9), (2, 3), (64, 64)])
def test_a_batch_holds_one_group_and_an_epoch_each_record_once(counts):
    groups, size = groups_of(*counts), 4
    grouped = order.GroupedByShape(groups, size, seed=7)
    epochs = 12
    batches = np.array([grouped(p) for p in range(epochs * len(groups) // size * size)]).reshape(-1, size)
    assert all(len(set(groups[batch])) == 1 for batch in batches)
    for group in set(groups):
        members = np.flatnonzero(groups == group)
        stream = [int(i) for batch in batches for i in batch if groups[i] == group]
        for start in range(0, len(stream) - len(members) + 1, len(members)):
            assert sorted(stream[start : start + len(members)]) == members.tolist()
        waiting = epochs * len(members) - len(stream)
        # Rounding to whole batches, of this group or of others that waited before.
        assert -size * len(counts) < waiting < size * len(counts)
    seen = collections.Counter(batches.ravel().tolist())
    assert max(seen.values()) <= epochs + size and len(seen) == len(groups)


def test_groups_are_mixed_and_the_order_is_a_pure_function():
    groups = groups_of(40, 20)
    grouped = order.GroupedByShape(groups, 4, seed=0)
    straight = [grouped(p) for p in range(180)]
    of_batch = groups[np.array(straight[::4])]
    assert [np.count_nonzero(of_batch[:15] == group) for group in (0, 3)] == [10, 5]
    assert np.count_nonzero(np.diff(of_batch[:15])) > 4
    again = order.GroupedByShape(groups.copy(), 4, seed=0)
    assert [again(p) for p in range(179, -1, -1)] == straight[::-1]
    assert [order.GroupedByShape(groups, 4, seed=1)(p) for p in range(60)] != straight[:60]
    first, second = (sorted(i for i in part if groups[i] == 0) for part in (straight[:60], straight[60:120]))
    assert first == second and straight[:60] != straight[60:120]
    assert order.GroupedByShape(groups, 4, seed=0)(10**7) in range(60)  # far out is as quick


def test_stand_ins_are_of_the_same_group_as_long_as_it_has_one():
    groups = groups_of(6, 3)
    grouped = order.GroupedByShape(groups, 2, seed=0)
    for position in range(0, 40, 3):
        group = groups[grouped(position)]
        tries = [grouped(position, attempt) for attempt in range(9)]
        size = int(np.sum(groups == group))
        assert set(tries[:size]) == set(np.flatnonzero(groups == group)) and len(set(tries)) == 9


def test_evaluation_lists_each_record_once_by_group():
    groups = np.array([1, 0, 1, 1, 0, 1, 1])
    assert order.evaluation_rows(groups, 3).tolist() == [[1, 4, -1], [0, 2, 3], [5, 6, -1]]
    assert order.evaluation_rows(np.zeros(4, int), 4).tolist() == [[0, 1, 2, 3]]


def test_every_batch_has_its_share_of_the_chosen_spread_over_its_rows():
    chosen = np.arange(50) % 5 == 0
    shares = order.InShares(chosen, count=2, batch_size=8, seed=0)
    batches = np.array([shares(p) for p in range(8 * 20)]).reshape(20, 8)
    assert (chosen[batches] == ([False] * 3 + [True]) * 2).all()
    for kind in (True, False):
        members = np.flatnonzero(chosen == kind)
        seen = batches.ravel()[chosen[batches.ravel()] == kind]
        for epoch in range(len(seen) // len(members)):
            part = seen[epoch * len(members) : (epoch + 1) * len(members)]
            assert sorted(part) == members.tolist()
    again = order.InShares(chosen.copy(), 2, 8, seed=0)
    assert [again(p) for p in range(159, -1, -1)] == batches.ravel()[::-1].tolist()
    assert [order.InShares(chosen, 2, 8, seed=1)(p) for p in range(160)] != batches.ravel().tolist()


def test_one_kind_takes_all_rows_where_there_is_no_other():
    for chosen in (np.zeros(6, bool), np.ones(6, bool)):
        shares = order.InShares(chosen, count=1, batch_size=4, seed=0)
        assert {shares(p) for p in range(40)} == set(range(6))


def test_a_stand_in_is_of_the_same_kind():
    chosen = np.arange(12) < 3
    shares = order.InShares(chosen, count=1, batch_size=3, seed=0)
    for position in range(9):
        assert {bool(chosen[shares(position, attempt)]) for attempt in range(3)} == {bool(chosen[shares(position)])}
