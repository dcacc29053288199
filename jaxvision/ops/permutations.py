"""Permutations far from each other, for puzzles in which every permutation is to be told from every other."""

import functools
import itertools

import numpy as np
from jaxtyping import Int8


@functools.cache
def spread(count: int, length: int = 9, seed: int = 0) -> Int8[np.ndarray, "count length"]:
    """Choose permutations greedily for Hamming distance (Noroozi & Favaro 2016, algorithm 1).

    Each one is, of all permutations, one whose nearest among those already chosen is farthest, and of these one with
    the largest total distance; the paper's algorithm looks at the total alone.

    Args:
        count: how many.
        length: how many things are permuted.
        seed: what the first one and the choice among equals are drawn from.

    Returns:
        One permutation a row.

    Raises:
        ValueError: `count` is below 2 or above the number of permutations.
    """
    everything = np.array(list(itertools.permutations(range(length))), np.int8)
    if not 2 <= count <= len(everything):
        raise ValueError(f"--permutations={count}: give 2 to {len(everything)}")
    everything = everything[np.random.default_rng(seed).permutation(len(everything))]
    places = np.ascontiguousarray(everything.T)  # compared place by place, which is ten times faster than row by row
    chosen = [everything[0]]
    nearest, total = np.full(len(everything), length, np.int32), np.zeros(len(everything), np.int32)
    for _ in range(count - 1):
        distance = np.zeros(len(everything), np.int32)
        for place, thing in zip(places, chosen[-1], strict=True):
            distance += place != thing
        nearest, total = np.minimum(nearest, distance), total + distance
        chosen.append(everything[np.argmax(nearest * (count * length + 1) + total)])
    return np.stack(chosen)
