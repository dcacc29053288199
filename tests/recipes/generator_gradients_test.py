"""Gradients are sorted by D(G(z))."""

import numpy as np

from jaxvision.recipes.generator_gradients import NAMES, by_belief, gradient_table


def row(belief: float, gradient: float) -> dict[str, float]:
    return {"step": 1, "train/fake_probability": belief, "train/gradient_generator": gradient}


def test_rows_are_averaged_in_their_bins():
    rows = [row(0.0001, 2.0), row(0.0009, 4.0), row(0.02, 5.0), row(0.5, 7.0), row(1.0, 9.0), {"step": 2}]
    found = by_belief(rows)
    assert len(found) == len(NAMES)
    np.testing.assert_allclose(found, [3, np.nan, 5, np.nan, np.nan, np.nan, np.nan, 8])
    assert np.isnan(by_belief([{"step": 1, "train/loss": 1.0}])).all()


def test_the_table_has_the_mean_over_runs_and_a_dash_for_what_never_was():
    runs = np.full((2, len(NAMES)), np.nan)
    runs[:, 0], runs[0, 1] = (1.0, 3.0), 0.5
    line = gradient_table({"minimax": runs}).splitlines()[-1]
    assert [cell.strip() for cell in line.split("|")[2:5]] == ["2", "0.5", "–"]
