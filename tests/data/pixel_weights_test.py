import dataclasses
import pickle

import numpy as np
import pytest

from jaxvision.data import pipeline, segmentation, sources
from jaxvision.data.pixel_weights import balanced, border_weights, components, median_frequency, with_borders
from jaxvision.data.records import Record
from jaxvision.data.transforms import FromFile


@dataclasses.dataclass(frozen=True)
class Maps:
    """Label maps; None is one that cannot be read."""

    maps: tuple

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, index: int) -> Record:
        if self.maps[index] is None:
            raise ValueError("torn")
        return {"label_map": np.array(self.maps[index], np.uint8)}

    def name(self, index: int) -> str:
        return str(index)


def test_median_frequency_by_hand():
    # Class 0: 5 of 8 pixels; class 1: 2 of the 4 counted in the one image that has it; class 2: 1 of 4; class 3: never.
    maps = Maps(([[0, 0], [1, 1]], None, [[0, 0, 0, 2], [255, 255, 255, 255]]))
    weights = median_frequency(maps, 4)
    assert weights.dtype == np.float32 and weights.tolist() == pytest.approx([0.5 / (5 / 8), 1.0, 2.0, 0.0])
    assert median_frequency(Maps((None, [[255]])), 2).tolist() == [0, 0]


def test_balanced_classes_count_alike():
    maps = Maps(([[0, 0], [1, 1]], None, [[0, 0, 0, 2], [255, 255, 255, 255]]))  # 5, 2 and 1 pixels of 8
    weights = balanced(maps, 4)
    assert weights.dtype == np.float32 and weights.tolist() == pytest.approx([8 / 15, 8 / 6, 8 / 3, 0.0])
    assert (weights[:3] * [5, 2, 1]).sum() == pytest.approx(8) and balanced(Maps((None,)), 2).tolist() == [0, 0]


def test_the_weight_of_a_class_is_added_to_that_of_the_border():
    label_map = np.zeros((20, 40), np.uint8)
    label_map[:, :10], label_map[:, 12:20], label_map[5, 30] = 1, 1, 255
    found = border_weights(label_map, class_weights=np.array([0.6, 3.0], np.float32))
    plain = border_weights(label_map)
    known = label_map != 255
    np.testing.assert_allclose(found[known], plain[known] - 1 + np.where(label_map == 1, 3.0, 0.6)[known], rtol=1e-6)


def test_median_frequency_of_scenes():
    source = sources.load("scenes:count=12,size=48")
    weights = median_frequency(source["train"], source.num_classes)
    assert weights[0] == weights[weights > 0].min() < 0.2 and np.median(weights[weights > 0]) == pytest.approx(1, 0.2)


def brute_force(label_map: np.ndarray, instances: np.ndarray, weight: float, sigma: float) -> np.ndarray:
    """Equation 2 by looking at every pixel of every object."""
    result = np.ones(label_map.shape)
    objects = [np.argwhere(instances == number) for number in np.unique(instances[instances > 0])]
    for y, x in np.argwhere(label_map == 0):
        distances = sorted(np.sqrt(((pixels - [y, x]) ** 2).sum(axis=1)).min() for pixels in objects)
        if len(distances) > 1:
            result[y, x] += weight * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
    return result


@pytest.mark.parametrize("seed", range(4))
def test_border_weights_equal_the_formula(seed):
    rng = np.random.default_rng(seed)
    label_map, instances = np.zeros((40, 50), np.uint8), np.zeros((40, 50), np.int32)
    for number in range(1, 7):
        y, x = rng.integers(0, 36), rng.integers(0, 46)
        instances[y : y + 6, x : x + 6] = 2 * number  # numbers need not follow each other
        label_map[y : y + 6, x : x + 6] = 1 + number % 2
    expected = brute_force(label_map, instances, 10.0, 2.0)
    found = border_weights(label_map, 10.0, 2.0, instances)
    assert found.dtype == np.float32 and expected.max() > 1.4
    np.testing.assert_allclose(found, expected, atol=1e-4)
    apart = border_weights(label_map, 10.0, 2.0)
    np.testing.assert_allclose(apart, brute_force(label_map, components(label_map), 10.0, 2.0), atol=1e-4)


def test_the_ridge_between_two_cells_weighs_most():
    label_map = np.zeros((20, 40), np.uint8)
    label_map[:, :10], label_map[:, 12:20], label_map[5, 30] = 1, 1, 255
    weights = border_weights(label_map)
    # Two pixels between the cells: distances 1 and 2 to them.
    assert weights[3, 10] == weights[3, 11] == pytest.approx(1 + 10 * np.exp(-9 / 50))
    assert weights.max() == weights[3, 10] and (weights[label_map > 0] == 1).all()
    assert 1 < weights[3, 22] < weights[3, 21] and weights[3, 39] == pytest.approx(1, abs=1e-4)
    for lonely in (label_map * (np.arange(40) < 11)[None], np.zeros((5, 6), np.uint8)):
        assert (border_weights(lonely.astype(np.uint8)) == 1).all()


def test_components_are_of_one_class_and_touch_at_their_sides():
    label_map = np.array([[1, 1, 0, 2], [0, 0, 2, 0], [1, 3, 3, 255]], np.uint8)
    numbers = components(label_map)
    assert ((numbers > 0) == ((label_map > 0) & (label_map < 255))).all()
    assert len(np.unique(numbers)) == 1 + 5 and numbers[0, 0] == numbers[0, 1] and numbers[2, 1] == numbers[2, 2]
    assert numbers[0, 3] != numbers[1, 2] and numbers[2, 0] != numbers[0, 0]


def test_weights_belong_to_the_transformed_label_map():
    inner = segmentation.train((40, 56), scales=(0.5, 2.0), elastic=2.0)
    transform = pickle.loads(pickle.dumps(with_borders(inner, 7.0, 3.0)))
    assert isinstance(transform, FromFile)
    records = sources.load("scenes:count=6,size=48")["train"]
    batch = next(pipeline.train(records, transform, 4, seed=1)(0, 1))
    assert batch["weight_map"].dtype == np.float32 and batch["weight_map"].shape == (4, 40, 56)
    for labels, weights in zip(batch["label_map"], batch["weight_map"], strict=True):
        np.testing.assert_array_equal(weights, border_weights(labels, 7.0, 3.0))
