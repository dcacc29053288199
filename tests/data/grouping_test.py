"""The heap and the shared table give what plain loops over all pairs give."""

import itertools

import numpy as np
import pytest

from jaxvision.data import grouping
from jaxvision.data.grouping import cut, group
from jaxvision.data.region_features import Regions, binned, describe


def regions(seed: int, rows: int = 4, columns: int = 5) -> tuple[np.ndarray, Regions]:
    """A checkered segmentation of a random image."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns).repeat(3, 0).repeat(4, 1)
    smooth = rng.random((rows, columns, 3), np.float32).repeat(3, 0).repeat(4, 1)
    return labels, describe(labels, binned(smooth * 0.7 + rng.random((*labels.shape, 3), np.float32) * 0.3))


def shortfalls(labels: np.ndarray, start: Regions, letters: str, merges: np.ndarray) -> list[float]:
    """By how much each merged pair is less similar than the best of all neighbours, in algorithm 1 as it is written."""
    alive = {i: (start.colors[i], start.textures[i], labels == i) for i in range(len(start.sizes))}
    found = []
    for number, (i, j) in enumerate(merges.tolist()):
        pairs = itertools.combinations(alive.values(), 2)
        best = max(similarity(one, other, letters, labels.size) for one, other in pairs if touch(one[2], other[2]))
        (ci, ti, mi), (cj, tj, mj) = alive.pop(i), alive.pop(j)
        assert touch(mi, mj), "only neighbours merge"
        found.append(best - similarity((ci, ti, mi), (cj, tj, mj), letters, labels.size))
        a, b = mi.sum(), mj.sum()
        alive[len(start.sizes) + number] = ((ci * a + cj * b) / (a + b), (ti * a + tj * b) / (a + b), mi | mj)
    assert len(alive) == 1
    return found


def similarity(one, other, letters: str, area: int) -> float:
    a, b = one[2].sum(), other[2].sum()
    y, x = np.nonzero(one[2] | other[2])
    around = (y.max() - y.min() + 1) * (x.max() - x.min() + 1)
    values = {
        "c": np.minimum(one[0], other[0]).sum(),
        "t": np.minimum(one[1], other[1]).sum(),
        "s": 1 - (a + b) / area,
        "f": 1 - (around - a - b) / area,
    }
    return float(sum(values[letter] for letter in letters))


def touch(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(
        (a[:, :-1] & b[:, 1:]).any() or (b[:, :-1] & a[:, 1:]).any() or (a[:-1] & b[1:]).any() or (b[:-1] & a[1:]).any()
    )


@pytest.mark.parametrize("letters", ["ctsf", "tsf", "c", "t", "s", "f"])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_plain_loops(letters: str, seed: int):
    labels, start = regions(seed)
    (found,) = group([start], [letters])
    np.testing.assert_allclose(shortfalls(labels, start, letters, found.merges), 0, atol=1e-5)


def test_hierarchies_that_grow_together_are_those_that_grow_alone():
    starts = [regions(0)[1], regions(1, 2, 10)[1], regions(2, 2, 10)[1]]
    starts = [s for s in starts if s.sizes.sum() == starts[0].sizes.sum()]
    together = group(starts, ["ctsf", "tsf", "s"])
    for start, letters, found in zip(starts, ["ctsf", "tsf", "s"], together, strict=True):
        (alone,) = group([start], [letters])
        np.testing.assert_array_equal(found.boxes, alone.boxes)
        np.testing.assert_array_equal(found.merges, alone.merges)


def test_boxes_are_around_what_was_merged():
    labels, start = regions(3)
    (found,) = group([start], ["ctsf"])
    assert len(found.boxes) == 2 * len(start.sizes) - 1
    assert found.boxes[-1].tolist() == [0, 0, labels.shape[1], labels.shape[0]]
    for number, (i, j) in enumerate(found.merges):
        around = [*np.minimum(found.boxes[i], found.boxes[j])[:2], *np.maximum(found.boxes[i], found.boxes[j])[2:]]
        assert found.boxes[len(start.sizes) + number].tolist() == around


def test_cuts_go_from_one_region_to_all():
    labels, start = regions(4)
    (found,) = group([start], ["ctsf"])
    for count in (1, 2, 7, 20, 99):
        assert len(np.unique(cut(found, count))) == min(count, 20)
    two = cut(found, 2)
    assert (two[found.merges[0]] == two[found.merges[0][0]]).all()
    coarse, fine = cut(found, 5), cut(found, 9)
    assert all(len(np.unique(coarse[fine == part])) == 1 for part in range(9)), "regions only join"


def test_one_region_is_a_hierarchy():
    start = describe(np.zeros((3, 4), np.int32), binned(np.zeros((3, 4, 3), np.float32)))
    (found,) = group([start], ["ctsf"])
    assert found.boxes.tolist() == [[0, 0, 4, 3]] and found.merges.shape == (0, 2)
    assert cut(found, 1).tolist() == [0]


def test_wrong_measures_are_named():
    start = regions(0)[1]
    for letters in ("", "ctx"):
        with pytest.raises(ValueError, match=f"measures '{letters}': give letters of 'ctsf'"):
            group([start], [letters])
    assert grouping.MEASURES == "ctsf"
