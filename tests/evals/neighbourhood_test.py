"""Pictures of an encoder's view of a small set."""

import numpy as np
import pytest

from jaxvision.evals.embedding import embeddings
from jaxvision.evals.neighbourhood import _one_of_each, maps_and_neighbours
from jaxvision.train.hooks import evaluate
from jaxvision.train.types import TrainState


def pictures_of(count: int) -> dict:
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 256, (count, 8, 8, 3), np.uint8),
        "label": np.arange(count) % 3,
        "_mask": np.ones(count, bool),
    }
    features = rng.normal(size=(count, 5)).astype(np.float32)
    examples = evaluate((embeddings(images=True),), lambda shard, shards: (b for b in [batch]))
    hook = maps_and_neighbours(examples, ("a", "b", "c"))
    return hook.run(lambda state, batch: {"features": features}, TrainState(0, {}, {}, {}, {}, None))


@pytest.mark.parametrize(
    ("count", "names"), [(1, {"pca"}), (3, {"pca", "neighbours"}), (12, {"pca", "tsne", "neighbours"})]
)
def test_as_many_pictures_as_the_examples_allow(count: int, names: set[str]):
    pictures = pictures_of(count)
    assert pictures.keys() == {f"embedding/{name}" for name in names}
    assert all(p.dtype == np.uint8 and p.ndim == 3 for p in pictures.values())


def test_queries_are_one_of_each_class_before_a_second_of_any():
    labels = np.array([1, 1, 1, 0, 2, 0])
    assert _one_of_each(labels, 5).tolist() == [3, 0, 4, 5, 1]
