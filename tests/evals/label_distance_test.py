"""Accuracy by distance, on maps whose distances are known."""

import numpy as np

from jaxvision.evals.label_distance import accuracy_by_distance, distances


def test_distances_are_to_the_next_other_label():
    label_map = np.zeros((5, 9), np.uint8)
    label_map[:, 6:] = 2
    np.testing.assert_allclose(distances(label_map)[2], [6, 5, 4, 3, 2, 1, 1, 2, 3])
    assert np.isinf(distances(np.zeros((3, 3), np.uint8))).all()


def test_pixels_that_do_not_count_are_near_to_nothing():
    label_map = np.array([[0, 0, 255, 0, 1]], np.uint8)
    np.testing.assert_allclose(distances(label_map)[0, [0, 1, 3, 4]], [4, 3, 1, 1])
    only = np.array([[0, 255, 0]], np.uint8)
    assert np.isinf(distances(only)).all()


def test_each_bin_counts_its_own_pixels_and_padding_counts_nowhere():
    metric = accuracy_by_distance(reaches=(1, 3))
    label_map = np.zeros((2, 4, 8), np.uint8)
    label_map[:, :, 4:] = 1
    classes = label_map.copy()
    classes[0, :, 3:5] = 1  # the background beside the border is taken for the object
    classes[0, 0, 0] = 1
    classes[1] = 7
    batch = {"label_map": label_map, "_mask": np.array([True, False])}
    state = metric.update(metric.init(), {"classes": classes}, batch)
    assert state.tolist() == [[4, 8], [16, 16], [7, 8]]
    expected = {"accuracy_to_1px": 0.5, "accuracy_to_3px": 1.0, "accuracy_farther": 7 / 8}
    assert metric.result(state) == expected
    again = metric.merge(metric.init(), metric.update(state, {"classes": classes}, batch))
    assert again[0].tolist() == [8, 16]
    assert metric.result(metric.init()) == {}
