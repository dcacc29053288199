import numpy as np
import pytest

from jaxvision.evals.best_overlap import THRESHOLDS, best_overlaps, coverage

OBJECTS = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
PROPOSALS = np.array([[70, 70, 80, 80], [0, 0, 10, 6], [20, 20, 30, 30], [0, 0, 10, 8]], np.float32)


def test_best_overlaps_grow_with_the_number():
    found = best_overlaps(PROPOSALS, OBJECTS, (0, 1, 2, 3, 4, 100))
    np.testing.assert_allclose(found, [[0, 0], [0, 0], [0.6, 0], [0.6, 1], [0.8, 1], [0.8, 1]], rtol=1e-6)


def test_one_proposal_may_be_the_best_of_two():
    twice = np.repeat(OBJECTS[:1], 2, axis=0)
    assert best_overlaps(PROPOSALS[3:], twice, (1,)).tolist() == [[pytest.approx(0.8)] * 2]


def test_without_proposals_or_objects():
    assert best_overlaps(np.zeros((0, 4), np.float32), OBJECTS, (1, 5)).tolist() == [[0, 0], [0, 0]]
    assert best_overlaps(PROPOSALS, np.zeros((0, 4), np.float32), (1, 5)).shape == (2, 0)


def test_classes_weigh_the_same_in_mabo_and_objects_in_recall():
    overlaps = [np.array([[0.2, 0.4, 0.9]]), np.zeros((1, 0)), np.array([[0.6]])]
    found = coverage(overlaps, [np.array([1, 1, 3]), np.zeros(0, int), np.array([1])], (7,))
    assert found.counts == (7,) and THRESHOLDS == (0.5, 0.7)
    np.testing.assert_allclose(found.recall, [[2 / 4], [1 / 4]])
    np.testing.assert_allclose(found.mabo, [(0.4 + 0.9) / 2])


def test_no_objects_at_all_is_an_error():
    with pytest.raises(ValueError, match="none of the 1 images has an object; check --data"):
        coverage([np.zeros((1, 0))], [np.zeros(0, int)], (7,))
