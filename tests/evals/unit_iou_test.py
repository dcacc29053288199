"""Counts against loops over pixels, thresholds against all thresholds tried one by one."""

import chex
import numpy as np
import pytest

from jaxvision.evals.unit_iou import BINS, agreement, bins, count, edges, top_images, unit_iou

NAMES = ("background", "cat", "dog")


def batches_of(seed: int = 0, rows=(8, 8, 3), size: int = 6) -> list:
    """Maps of 4 units as large as the segmentation, the last batch padded; unit 2 is high where class 1 is."""
    rng = np.random.default_rng(seed)
    batches = []
    for real in rows:
        classes = rng.integers(0, 3, (8, size, size)).astype(np.uint8)
        classes[rng.random(classes.shape) < 0.1] = 255
        units = np.maximum(rng.normal(size=(8, size, size, 4)), 0)
        units[..., 2] += 0.8 * (classes == 1)
        outputs = {"units": units.astype(np.float16), "classes": classes}
        outputs["samples"] = rng.integers(0, 256, (8, size, size, 3), np.uint8)
        batches.append((outputs, {"z": rng.normal(size=(8, 5)).astype(np.float32), "_mask": np.arange(8) < real}))
    return batches


def state_of(metric, batches):
    state = metric.init()
    for outputs, batch in batches:
        state = metric.update(state, outputs, batch)
    return state


def table(batches, **fields):
    metric = unit_iou(NAMES, **fields)
    return metric.result(state_of(metric, batches))["agreement"]


def test_bins_keep_order_and_edges_are_their_least_values():
    values = np.concatenate([np.geomspace(1e-4, 6e4, 500), [0.0], -np.geomspace(1e-4, 6e4, 500)])
    values = np.sort(values).astype(np.float16)
    found = bins(values)
    assert np.all(np.diff(found) >= 0) and found.min() >= 0 and found.max() < BINS
    low, high = edges()[found], edges()[found + 1]
    assert np.all(low <= values) and np.all(values < high)
    normal = np.abs(values.astype(np.float64)) > 1e-3
    assert np.all((high - low)[normal] <= np.abs(values.astype(np.float64))[normal] / 16)
    assert bins(np.array([-0.0])) == bins(np.array([0.0])) and edges()[bins(np.array([0.0]))] == 0
    assert bins(np.array([1e9])) == bins(np.array([65504.0]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite(bad):
    with pytest.raises(ValueError, match="a unit is not finite"):
        bins(np.array([1.0, bad]))


def test_count_is_a_loop_over_pixels():
    outputs, _ = batches_of()[0]
    expected = np.zeros((4, 3, BINS), np.int64)
    for b, y, x in np.ndindex(outputs["classes"].shape):
        if (label := outputs["classes"][b, y, x]) < 3:
            for u in range(4):
                expected[u, label, bins(outputs["units"][b, y, x, u : u + 1])] += 1
    np.testing.assert_array_equal(count(outputs["units"], outputs["classes"], 3), expected)


def test_maps_are_upsampled_bilinearly():
    ramp = np.array([[0.0, 1.0]])[None, ..., None]
    found = count(ramp, np.zeros((1, 2, 4), np.uint8), 1)[0, 0]
    np.testing.assert_array_equal(np.flatnonzero(found), bins(np.array([0.0, 0.25, 0.75, 1.0])))


def test_a_unit_that_is_the_class_has_iou_1():
    batches = batches_of()
    for outputs, _ in batches:
        for unit, label in ((0, 1), (3, 2)):
            outputs["units"][..., unit] = 5 * (outputs["classes"] == label)
        outputs["units"][..., 1] = 0
    found = table(batches)
    assert found.iou[0, 1] == found.iou[3, 2] == found.quantile_iou[0, 1] == found.quantile_iou[3, 2] == 1
    assert found.information[0, 1] == pytest.approx(1) and found.threshold[0, 1] == 5 == found.quantile_threshold[0]
    assert not found.iou[1].any() and not found.quantile_iou[1].any() and not found.information[1].any()
    assert found.iou[0, 2] < 0.5  # not 1: the unit is off where class 2 is, and that is no agreement


@pytest.mark.parametrize("seed", range(3))
def test_equals_thresholds_tried_one_by_one(seed):
    batches = batches_of(seed)
    state = state_of(unit_iou(NAMES), batches)
    found = agreement(state, 0.1)
    for u, k in np.ndindex(4, 3):
        told = [_information(state[0, u], k, b) for b in range(BINS)]
        assert found.information[u, k] == pytest.approx(max(told), abs=1e-9)
        bin_ = int(np.flatnonzero(edges() == found.threshold[u, k])[-1])  # of none told, infinity and so never on
        assert told[bin_] == pytest.approx(max(told), abs=1e-9)
        assert found.iou[u, k] == pytest.approx(_iou(state[1, u], k, bin_))
        top = int(np.flatnonzero(edges() == found.quantile_threshold[u])[0])
        both = state.sum(0)[u]
        assert both[:, top:].sum() >= 0.1 * both.sum() > both[:, top + 1 :].sum()
        assert found.quantile_iou[u, k] == pytest.approx(_iou(both, k, top))


def _iou(counts, k, b) -> float:
    on = counts[:, b:]
    return on[k].sum() / max(on.sum() + counts[k, :b].sum(), 1)


def _information(counts, k, b) -> float:
    n, on, of = counts.sum(), counts[:, b:].sum(), counts[k].sum()
    both = counts[k, b:].sum()
    if both * n <= on * of:
        return 0.0
    p = np.array([[both, on - both], [of - both, n - on - of + both]]) / n
    apart = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)
    some = p > 0
    entropy = -(p[some] * np.log(p[some])).sum()
    return (p[some] * np.log(p[some] / apart[some])).sum() / entropy if entropy > 1e-9 else 0.0


def test_a_rare_unit_is_off_at_its_lowest():
    batches = batches_of()
    for outputs, _ in batches:
        outputs["units"][...] = 0
        outputs["units"][0, 0, 0] = 3  # 1 of 288 pixels, less than the quantile
        outputs["classes"][0, 0, 0] = 2
    assert np.all(table(batches, quantile=0.05).quantile_threshold < 0.001)
    assert np.all(table(batches, quantile=0.05).quantile_iou[:, 0] == 0)


def test_batches_merges_and_padding_make_no_difference():
    batches = batches_of()
    whole = [(_join([o for o, _ in batches]), _join([b for _, b in batches]))]
    metric = unit_iou(NAMES)
    states = [metric.update(metric.init(), *batch) for batch in batches]
    merged = metric.merge(metric.merge(metric.init(), states[0]), metric.merge(states[1], states[2]))
    np.testing.assert_array_equal(merged, state_of(metric, whole))
    for outputs, batch in batches:
        outputs["units"][~batch["_mask"]] = 100
    np.testing.assert_array_equal(merged, state_of(metric, batches))


def _join(dicts: list[dict]) -> dict:
    return {k: np.concatenate([d[k] for d in dicts]) for k in dicts[0]}


def test_too_few_images():
    metric = unit_iou(NAMES)
    outputs, batch = batches_of()[0]
    for state in (metric.init(), metric.update(metric.init(), outputs, {**batch, "_mask": np.arange(8) < 1})):
        with pytest.raises(ValueError, match="too few images"):
            metric.result(state)


def test_top_images_are_the_highest_of_all():
    batches = batches_of()
    metric = top_images(3)
    top = metric.result(state_of(metric, batches))["top"]
    rows = [(o["units"][r], o["samples"][r]) for o, b in batches for r in np.flatnonzero(b["_mask"])]
    for u in range(4):
        order = sorted(range(len(rows)), key=lambda i: (-rows[i][0][..., u].max(), i))[:3]
        np.testing.assert_array_equal(top.samples[u], [rows[i][1] for i in order])
        np.testing.assert_array_equal(top.maps[u], [rows[i][0][..., u] for i in order])
    states = [metric.update(metric.init(), *batch) for batch in batches]
    merged = metric.merge(metric.merge(states[0], metric.init()), metric.merge(metric.init(), states[1]))
    chex.assert_trees_all_equal(metric.merge(merged, states[2]), top)


def test_fewer_images_than_asked_for():
    outputs, batch = batches_of()[0]
    metric = top_images(5)
    state = metric.update(metric.init(), outputs, {**batch, "_mask": np.arange(8) < 2})
    assert state.samples.shape[1] == 2 and metric.update(state, outputs, batch).samples.shape[1] == 5
    assert metric.update(None, outputs, {**batch, "_mask": np.zeros(8, bool)}) is None
