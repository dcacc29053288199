import numpy as np
import pytest

from jaxvision.evals.inversion import image_psnr, recovery


def outputs_of(rows: int = 5, seed: int = 0) -> tuple[dict, dict]:
    rng = np.random.default_rng(seed)
    draw = lambda: rng.integers(0, 256, (rows, 4, 4, 3), np.uint8)  # noqa: E731
    outputs = {
        "target": draw(),
        "a": draw(),
        "b": draw(),
        "features_a": rng.random(rows),
        "features_b": rng.random(rows),
    }
    return outputs, {"generated": np.arange(rows) % 2 == 0, "_mask": np.arange(rows) < rows - 1}


def test_psnr_by_hand():
    black = np.zeros((3, 2, 2, 1), np.uint8)
    other = black.copy()
    other[0, 0, 0], other[1] = 2, 255  # mean squared differences 1 and 255²
    np.testing.assert_allclose(image_psnr(other, black), [20 * np.log10(255), 0, 10 * np.log10(12 * 255**2)])


def test_figures_are_means_over_the_real_rows_of_each_kind():
    outputs, batch = outputs_of()
    found = recovery(("a", "b")).result(recovery(("a", "b")).update(np.zeros((2, 2, 3)), outputs, batch))
    assert len(found) == 8
    for kind, rows in (("generated", [0, 2]), ("real", [1, 3])):
        for name in "ab":
            assert found[f"psnr_{name}_{kind}"] == pytest.approx(
                image_psnr(outputs[name], outputs["target"])[rows].mean()
            )
            assert found[f"features_{name}_{kind}"] == pytest.approx(outputs[f"features_{name}"][rows].mean())


def test_shares_of_the_data_add_up_and_a_kind_may_be_missing():
    metric, (outputs, batch) = recovery(("a",)), outputs_of(6)
    parts = [slice(0, 2), slice(2, 6)]
    states = [
        metric.update(metric.init(), {k: v[p] for k, v in outputs.items()}, {k: v[p] for k, v in batch.items()})
        for p in parts
    ]
    whole = metric.result(metric.update(metric.init(), outputs, batch))
    assert metric.result(metric.merge(*states)) == pytest.approx(whole)
    only = {**batch, "generated": np.ones(6, bool)}
    assert set(metric.result(metric.update(metric.init(), outputs, only))) == {
        "psnr_a_generated",
        "features_a_generated",
    }
