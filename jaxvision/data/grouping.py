"""Hierarchical grouping of regions: the two most similar neighbours are merged until one region is left.

Uijlings et al. (2013), algorithm 1. Several hierarchies grow side by side, with one merge each a round, so that NumPy
computes the new similarities of all at once; the heap of each yields its most similar pair.
"""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int

from jaxvision.data.region_features import Regions

MEASURES = "ctsf"  # colour, texture, size, fill: each between 0 and 1

_CHUNK = 8192  # pairs whose histograms are compared at once, which bounds the memory


class Hierarchy(NamedTuple):
    """All regions: the R initial ones, then one for each merge, of which the last is the whole image."""

    boxes: Float32[np.ndarray, "M 4"]  # x0, y0, x1, y1; M = 2 R - 1
    merges: Int[np.ndarray, "K 2"]  # merge i joins these two into region R + i; K = R - 1


class _Table(NamedTuple):
    """The regions of all hierarchies, one after the other, each with R initial regions and rows for R - 1 merges."""

    sizes: Float32[np.ndarray, "T"]
    corners: Float32[np.ndarray, "T 4"]  # x0, y0, -x1, -y1, so that the box around two is their minimum
    histograms: Float32[np.ndarray, "T D"]  # colour, then texture
    weights: Float32[np.ndarray, "T 4"]  # 1 for the measures that the hierarchy uses
    split: Float32[np.ndarray, "D 2"]  # 1 for the bins of colour, of texture


def group(starts: Sequence[Regions], measures: Sequence[str]) -> list[Hierarchy]:
    """Group each of `starts`, regions of one image with histograms of the same bins, into a hierarchy.

    `measures` holds, for each, the letters of its measures of similarity, such as "ctsf" for all or "tsf" without
    colour. Of equally similar pairs the one of older regions is merged first.

    Raises ValueError where letters are missing or are none of `MEASURES`.
    """
    for letters in measures:
        if not letters or set(letters) - set(MEASURES):
            raise ValueError(f"measures {letters!r}: give letters of {MEASURES!r} (colour, texture, size, fill)")
    counts = np.array([len(start.sizes) for start in starts])
    firsts = np.concatenate([[0], np.cumsum(2 * counts - 1)[:-1]])
    table = _table(starts, measures, firsts)
    merges = _merge_all(table, starts, firsts.tolist(), counts.tolist())
    boxes = table.corners * np.array([1, 1, -1, -1], np.float32)
    return [
        Hierarchy(boxes[first : first + 2 * count - 1], pairs.reshape(-1, 2) - first)
        for first, count, pairs in zip(firsts, counts, merges, strict=True)
    ]


def cut(hierarchy: Hierarchy, count: int) -> Int[np.ndarray, "R"]:
    """Return, for each initial region, the region 0 … count - 1 that it belongs to when `count` are left."""
    total = len(hierarchy.merges) + 1
    parent = np.arange(2 * total - 1)
    for number, pair in enumerate(hierarchy.merges[: max(total - count, 0)]):
        parent[pair] = total + number
    for node in range(len(parent) - 1, -1, -1):  # parents come after their children
        parent[node] = parent[parent[node]]
    return np.unique(parent[:total], return_inverse=True)[1]


def _table(starts: Sequence[Regions], measures: Sequence[str], firsts: Int[np.ndarray, "S"]) -> _Table:
    colors, textures = starts[0].colors.shape[1], starts[0].textures.shape[1]
    total = sum(2 * len(start.sizes) - 1 for start in starts)
    split = np.zeros((colors + textures, 2), np.float32)
    split[:colors, 0] = split[colors:, 1] = 1
    table = _Table(
        np.zeros(total, np.float32),
        np.zeros((total, 4), np.float32),
        np.zeros((total, colors + textures), np.float32),
        np.zeros((total, 4), np.float32),
        split,
    )
    for start, letters, first in zip(starts, measures, firsts.tolist(), strict=True):
        rows = slice(first, first + len(start.sizes))
        table.sizes[rows] = start.sizes
        table.corners[rows] = start.boxes * np.array([[1, 1, -1, -1]], np.float32)
        table.histograms[rows, :colors], table.histograms[rows, colors:] = start.colors, start.textures
        table.weights[first : first + 2 * len(start.sizes) - 1] = [float(letter in letters) for letter in MEASURES]
    return table


def _merge_all(
    table: _Table, starts: Sequence[Regions], firsts: list[int], counts: list[int]
) -> list[Int[np.ndarray, "K"]]:
    """Merge until each hierarchy has one region, filling the table; return the merged pairs of each, in order."""
    area = float(starts[0].sizes.sum())
    pairs = [start.pairs + first for start, first in zip(starts, firsts, strict=True)]
    heaps = [_heap(table, pair, area) for pair in pairs]
    near: list[set[int]] = [set() for _ in range(len(table.sizes))]
    for i, j in np.concatenate(pairs).tolist():
        near[i].add(j)
        near[j].add(i)
    alive = bytearray([1]) * len(table.sizes)
    merges: list[list[int]] = [[] for _ in starts]
    for turn in range(max(counts) - 1):
        going = [run for run, count in enumerate(counts) if turn < count - 1]
        best = [_pop(heaps[run], alive) for run in going]
        new = [firsts[run] + counts[run] + turn for run in going]
        for run, pair, node in zip(going, best, new, strict=True):
            merges[run] += pair
            _connect(near, alive, *pair, node)
        _merge(table, np.array(best), np.array(new))
        _push(heaps, going, new, table, near, area)
    return [np.array(pairs, np.int64) for pairs in merges]


def _pop(heap: list[tuple[float, int, int]], alive: bytearray) -> tuple[int, int]:
    """Remove and return the most similar pair of which neither region was merged."""
    while True:
        _, i, j = heapq.heappop(heap)
        if alive[i] and alive[j]:
            return i, j


def _connect(near: list[set[int]], alive: bytearray, i: int, j: int, node: int) -> None:
    """Give the neighbours of i and j to `node`."""
    alive[i] = alive[j] = 0
    near[node] = (near[i] | near[j]) - {i, j}
    for other in near[node]:
        around = near[other]
        around.discard(i)
        around.discard(j)
        around.add(node)
    near[i] = near[j] = set()


def _merge(table: _Table, pairs: Int[np.ndarray, "K 2"], new: Int[np.ndarray, "K"]) -> None:
    a, b = pairs.T
    both = table.sizes[a] + table.sizes[b]
    share = (table.sizes[a] / both)[:, None]
    table.sizes[new] = both
    table.corners[new] = np.minimum(table.corners[a], table.corners[b])
    table.histograms[new] = table.histograms[a] * share + table.histograms[b] * (1 - share)


def _push(
    heaps: list[list[tuple[float, int, int]]],
    going: list[int],
    new: list[int],
    table: _Table,
    near: list[set[int]],
    area: float,
) -> None:
    """Push the similarities of the new regions to their neighbours on the heaps of their hierarchies."""
    around = [sorted(near[node]) for node in new]
    lengths = [len(others) for others in around]
    right = np.repeat(np.array(new), lengths)
    left = np.array([other for others in around for other in others], np.int64)
    scores = iter((-_similarity(table, left, right, area)).tolist())
    for run, node, others in zip(going, new, around, strict=True):
        for other in others:
            heapq.heappush(heaps[run], (next(scores), other, node))


def _heap(table: _Table, pairs: Int[np.ndarray, "E 2"], area: float) -> list[tuple[float, int, int]]:
    parts = [pairs[at : at + _CHUNK] for at in range(0, len(pairs), _CHUNK)]
    heap = [
        (-score, i, j)
        for part in parts
        for score, (i, j) in zip(_similarity(table, part[:, 0], part[:, 1], area).tolist(), part.tolist(), strict=True)
    ]
    heapq.heapify(heap)
    return heap


def _similarity(
    table: _Table, i: Int[np.ndarray, "E"], j: Int[np.ndarray, "E"], area: float
) -> Float32[np.ndarray, "E"]:
    """Sum the measures of its hierarchy for each pair (section 3.2, equations 1 to 6)."""
    shared = np.minimum(table.histograms[i], table.histograms[j]) @ table.split
    both = table.sizes[i] + table.sizes[j]
    corners = np.minimum(table.corners[i], table.corners[j])
    around = (corners[:, 0] + corners[:, 2]) * (corners[:, 1] + corners[:, 3])  # two negative sides
    weights = table.weights[i]
    size, fill = 1 - both / np.float32(area), 1 - (around - both) / np.float32(area)
    return (weights[:, :2] * shared).sum(axis=1) + weights[:, 2] * size + weights[:, 3] * fill
