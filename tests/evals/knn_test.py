"""Neighbours against a plain reference, and figures that count every example once."""

import numpy as np
import pytest

from jaxvision.evals import knn as module
from jaxvision.evals.embedding import Embedded, embeddings
from jaxvision.evals.knn import class_votes, knn, nearest
from jaxvision.train.hooks import evaluate
from jaxvision.train.types import TrainState

RNG = np.random.default_rng(0)


def cloud(count: int, dim: int = 5, classes: int = 3) -> Embedded:
    return Embedded(RNG.normal(size=(count, dim)).astype(np.float32), RNG.integers(0, classes, count))


def plain_votes(bank: Embedded, query: np.ndarray, classes: int, k: int, temperature: float) -> np.ndarray:
    """One query, by the definition."""
    cosines = [float(row @ query / np.linalg.norm(row) / np.linalg.norm(query)) for row in bank.features]
    best = sorted(range(len(cosines)), key=lambda i: (-cosines[i], i))[:k]
    votes = np.zeros(classes)
    for i in best:
        votes[bank.labels[i]] += np.exp(cosines[i] / temperature)
    return votes / votes.sum()


@pytest.mark.parametrize("numbers", [2**24, 100, 1])
@pytest.mark.parametrize("k", [1, 7, 100])
def test_votes_are_those_of_the_definition_in_blocks_of_any_size(monkeypatch, numbers: int, k: int):
    monkeypatch.setattr(module, "_NUMBERS", numbers)
    bank, queries = cloud(40), cloud(11).features
    expected = [plain_votes(bank, query, 3, k, 0.2) for query in queries]
    np.testing.assert_allclose(class_votes(bank, queries, 3, k=k, temperature=0.2), expected, rtol=1e-4, atol=1e-7)


def test_a_small_temperature_does_not_overflow_and_zeros_do_no_harm():
    bank = Embedded(np.array([[1, 0], [0, 1], [0, 0]], np.float32), np.array([0, 1, 1]))
    votes = class_votes(bank, np.array([[3, 0.1], [0, 0]], np.float32), 2, k=3, temperature=1e-3)
    np.testing.assert_allclose(votes, [[1, 0], [1 / 3, 2 / 3]], atol=1e-12)


def test_neighbours_come_best_first_and_earlier_rows_first_of_equal_ones():
    bank = np.array([[0, 1], [1, 0], [2, 0], [1, 1]], np.float32)
    ((rows, cosines),) = nearest(bank, np.array([[1, 0]], np.float32), 3)
    assert rows.tolist() == [[1, 2, 3]]
    np.testing.assert_allclose(cosines, [[1, 1, np.sqrt(0.5)]], rtol=1e-6)


def batches(embedded: Embedded, size: int):
    """Evaluation data whose last batch is padded with a row of a wrong class."""

    def data(shard: int, shards: int):
        for start in range(0, len(embedded.labels), size):
            features, labels = embedded.features[start : start + size], embedded.labels[start : start + size]
            missing = size - len(labels)
            yield {
                "image": np.pad(features, ((0, missing), (0, 0)), constant_values=9.0),
                "label": np.pad(labels, (0, missing), constant_values=2),
                "_mask": np.arange(size) < len(labels),
            }

    return data


@pytest.mark.parametrize("size", [1, 4, 7])
def test_the_hook_counts_every_example_once(size: int):
    bank = Embedded(np.eye(3, dtype=np.float32).repeat(4, 0), np.arange(3).repeat(4))
    queries = Embedded(np.eye(3, dtype=np.float32)[[0, 1, 2, 1, 1]], np.array([0, 1, 2, 0, 0]))
    collect = [evaluate((embeddings(),), batches(rows, size)) for rows in (bank, queries)]
    state = TrainState(0, {}, {}, {}, {}, None)
    result = knn(*collect, 3, k=4).run(lambda state, batch: {"features": batch["image"]}, state)
    assert result == {"knn/accuracy": 0.6}


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="k is 0; give at least 1"):
        class_votes(cloud(4), cloud(2).features, 3, k=0)
    with pytest.raises(ValueError, match="label 2 among 2 classes"):
        class_votes(Embedded(np.ones((1, 2), np.float32), np.array([2])), np.ones((1, 2), np.float32), 2)
