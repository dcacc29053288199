"""Permutations far from each other, for puzzles whose every answer must be told from every other."""

import functools
import itertools

import numpy as np
from jaxtyping import Int8


@functools.cache
def spread(count: int, length: int = 9, seed: int = 0) -> Int8[np.ndarray, "count length"]:
    """`count` of the permutations of `length` things, chosen greedily for Hamming distance.

    Each is, of all permutations, one whose nearest among those already chosen is farthest, and of these one with the
    largest total distance, as in algorithm 1 of Noroozi & Favaro 2016, which looks at the total alone. The first and
    ties are drawn from `seed`. ValueError: fewer than 2 or more than there are.
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
