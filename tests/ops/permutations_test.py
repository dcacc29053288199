"""Spread permutations are far apart, and always the same."""

import itertools

import numpy as np
import pytest

from jaxvision.ops.permutations import spread


def distances(orders: np.ndarray) -> np.ndarray:
    between = (orders[:, None] != orders[None]).sum(-1)
    return between[~np.eye(len(orders), dtype=bool)]


def test_nine_permutations_of_nine_agree_nowhere():
    orders = spread(9)
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.broadcast_to(np.arange(9)[None], (9, 9)))
    assert (distances(orders) == 9).all()  # a Latin square, which is the best there is


def test_more_are_farther_apart_than_random_ones():
    orders = spread(40)
    assert len(np.unique(orders, axis=0)) == 40
    rng = np.random.default_rng(0)
    drawn = np.stack([rng.permutation(9) for _ in range(40)])
    assert distances(orders).min() >= 7 > distances(drawn).min()
    assert distances(orders).mean() > distances(drawn).mean()


def test_each_is_the_farthest_that_was_left():
    orders = spread(24, 4, seed=3)
    everything = np.array(list(itertools.permutations(range(4))))
    for i in range(1, 24):
        far = (everything[:, None] != orders[None, :i]).sum(-1)
        own = (orders[i][None] != orders[:i]).sum(-1)
        assert own.min() == far.min(1).max() and own.sum() == far.sum(1)[far.min(1) == own.min()].max()
    np.testing.assert_array_equal(spread(5, 4, seed=3), orders[:5])
    assert len(np.unique(orders, axis=0)) == 24


def test_counts_that_there_are_not():
    with pytest.raises(ValueError, match="--permutations=25: give 2 to 24"):
        spread(25, 4)
    with pytest.raises(ValueError, match="--permutations=1"):
        spread(1)
