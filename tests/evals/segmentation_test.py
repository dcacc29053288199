"""The figures against loops over sets of pixels."""

import numpy as np
import pytest

from jaxvision.evals.segmentation import confusion, count, figures

NAMES = ("background", "cat", "dog", "owl")


def batches_of(seed: int, classes: int = 3, top: int = 3) -> list:
    """Three batches of 2 maps, the last with one row of padding; labels and predictions below `classes` and `top`."""
    rng = np.random.default_rng(seed)
    batches = []
    for real in (2, 2, 1):
        labels, found = rng.integers(0, classes, (2, 5, 6)), rng.integers(0, top, (2, 5, 6))
        labels[rng.random(labels.shape) < 0.2] = 255
        batch = {"label_map": labels.astype(np.uint8), "_mask": np.arange(2) < real}
        batches.append(({"classes": found.astype(np.uint8)}, batch))
    return batches


def evaluate(metric, batches) -> dict:
    state = metric.init()
    for outputs, batch in batches:
        state = metric.update(state, outputs, batch)
    return metric.result(state)


def pixels(batches) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions of all pixels that count."""
    labels = np.concatenate([b["label_map"][b["_mask"]].ravel() for _, b in batches])
    found = np.concatenate([o["classes"][b["_mask"]].ravel() for o, b in batches])
    return labels[labels != 255], found[labels != 255]


@pytest.mark.parametrize("seed", range(4))
def test_equals_sets_of_pixels(seed):
    batches = batches_of(seed)
    labels, found = pixels(batches)
    accuracies, ious, frequencies = [], {}, []
    for k, name in enumerate(NAMES):
        true, said = set(np.flatnonzero(labels == k)), set(np.flatnonzero(found == k))
        if true:
            accuracies.append(len(true & said) / len(true))
            frequencies.append(len(true) / len(labels) * len(true & said) / len(true | said))
        if true | said:
            ious[f"iou_{name}"] = len(true & said) / len(true | said)
    got = evaluate(confusion(NAMES), batches)
    assert got.pop("confusion_matrix").dtype == got.pop("class_iou").dtype == np.uint8
    expected = {
        "pixel_accuracy": np.mean(labels == found),
        "mean_accuracy": np.mean(accuracies),
        "mean_iou": np.mean(list(ious.values())),
        "frequency_weighted_iou": np.sum(frequencies),
        "valid_classes": len(ious),
        **ious,
    }
    assert got == pytest.approx(expected, abs=1e-12)
    assert "iou_owl" not in got  # neither there nor predicted


def test_by_hand():
    """One class of 3 pixels has 2 right, the other one of 1 is right; class 2 was never there but predicted once."""
    got = figures(np.array([[2, 0, 1], [0, 1, 0], [0, 0, 0]]))
    assert got == pytest.approx(
        {
            "pixel_accuracy": 3 / 4,
            "mean_accuracy": (2 / 3 + 1) / 2,
            "mean_iou": (2 / 3 + 1 + 0) / 3,
            "frequency_weighted_iou": (3 * 2 / 3 + 1) / 4,
            "valid_classes": 3,
        }
    )


def test_perfect_and_all_wrong():
    labels = np.array([[[0, 1], [2, 255]]])
    assert figures(count(labels, np.array([[[0, 1], [2, 0]]]), 3))["mean_iou"] == 1.0
    assert figures(count(labels, np.array([[[1, 2], [0, 0]]]), 3))["mean_iou"] == 0.0


def test_one_matrix_for_the_set_and_not_a_mean_over_batches():
    batches = batches_of(0)
    means = [evaluate(confusion(NAMES), [b])["mean_iou"] for b in batches]
    assert evaluate(confusion(NAMES), batches)["mean_iou"] != pytest.approx(np.mean(means), abs=1e-6)


def test_states_of_two_processes_add_up_and_none_is_changed():
    metric, batches = confusion(NAMES), batches_of(1)
    start = metric.init()
    states = [metric.update(start, *b) for b in batches]
    assert not start.any() and start.dtype == states[0].dtype == np.int64
    merged = metric.merge(metric.merge(start, states[0]), metric.merge(states[1], states[2]))
    assert metric.result(merged)["mean_iou"] == evaluate(metric, batches)["mean_iou"]


def test_what_is_ignored_can_be_another_label():
    labels, found = np.array([[[0, 1, 11]]]), np.array([[[0, 1, 1]]])
    np.testing.assert_array_equal(count(labels, found, 2, ignore=11), np.eye(2))


@pytest.mark.parametrize("ignore", [255, 0, 2, -1])
def test_counts_are_those_of_a_loop_over_pixels_whatever_the_ignored_ones_are_predicted_as(ignore):
    rng = np.random.default_rng(ignore % 7)
    labels, found = rng.integers(0, 4, (2, 6, 5)), rng.integers(0, 4, (2, 6, 5)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.3] = ignore
    found[labels == ignore] = 200  # no class, where nothing counts
    expected = np.zeros((4, 4), np.int64)
    for label, predicted in zip(labels.ravel().tolist(), found.ravel().tolist(), strict=True):
        if label != ignore:
            expected[label, predicted] += 1
    counts = count(labels, found, 4, ignore)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize(("labels", "found"), [([[[4]]], [[[0]]]), ([[[0]]], [[[4]]]), ([[[-1]]], [[[0]]])])
def test_a_label_beyond_the_classes_is_an_error(labels, found):
    with pytest.raises(ValueError, match="with 4 class names"):
        count(np.array(labels), np.array(found), 4)


def test_no_pixels_is_an_error():
    metric = confusion(NAMES)
    batch = {"label_map": np.full((1, 2, 2), 255, np.uint8), "_mask": np.array([True])}
    with pytest.raises(ValueError, match="confusion: no pixel"):
        metric.result(metric.update(metric.init(), {"classes": np.zeros((1, 2, 2), np.uint8)}, batch))
