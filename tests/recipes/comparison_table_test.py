"""The table of a comparison: means, spreads, costs, and what cannot be told apart."""

import math

import numpy as np
import pytest

from jaxvision.recipes import comparison_table
from jaxvision.recipes.comparison_table import Comparison, Measure, Ran, standard_error, told
from jaxvision.recipes.step_costs import Cost

ERROR = Measure("val/error", "test error", "error", more=False)
COSTS = {name: Cost(2_500_000, 3e6, 12.0) for name in ("plain-20", "plain-56", "residual_56")}


def ran(error: float, seconds: float = 10.0) -> Ran:
    rows = [
        {"stage": "x-0-train", "step": 1, "val/error": 0.9, "train/loss": 2.0},
        {"stage": "x-0-train", "step": 2, "val/error": error, "train/loss": 1.0, "time/x-0-train_seconds": seconds},
    ]
    return Ran({"train": "x-0-train"}, rows)


def cells(text: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in rows}


RUNS = {
    "plain-20": [ran(0.10), ran(0.12), ran(0.14)],
    "plain-56": [ran(0.30, 30.0), ran(0.32, 32.0), ran(0.34, 34.0)],
    "residual_56": [ran(0.11), ran(0.13), ran(0.15)],
}


def test_a_run_says_its_last_value_its_seconds_and_its_curves():
    one = ran(0.1)
    assert one.value("val/error") == 0.1 and math.isnan(one.value("val/loss"))
    assert one.seconds("train") == one.all_seconds() == 10.0
    np.testing.assert_array_equal(one.curve("train/loss"), [[1, 2.0], [2, 1.0]])
    assert one.curve("val/loss").shape == (0, 2) and Ran({"train": "y"}, []).all_seconds() == 0.0


def test_the_table_has_spread_costs_and_marks():
    pairs = (("plain-56", "plain-20"), ("residual_56", "plain-20"), ("gone", "plain-20"))
    comparison = Comparison("Depth", "network", (ERROR,), pairs, notes=("a note",), prefix="val/")
    result = told(RUNS, COSTS, comparison)
    found = cells(result["comparison"])
    assert found["plain-20"] == ["0.1200 ± 0.0200", "10.0 ± 0.0", "2.5", "3", "12"]
    assert found["plain-56"][:2] == ["0.3200 ± 0.0200", "32.0 ± 2.0"]
    assert found["residual 56"][0] == "0.1300 ± 0.0200 ≈"  # 0.01 is less than 2 · 0.0163
    assert found["plain-56 less plain-20"] == ["+0.2000 ± 0.0327"]
    assert found["residual 56 less plain-20"] == ["+0.0100 ± 0.0327 ≈"]
    assert "a note" in result["comparison"] and "≈ marks" in result["comparison"] and "gone" not in found
    assert result["val/plain-56/error"] == pytest.approx(0.32)
    assert result["comparison_figure"].dtype == np.uint8 and "comparison_curves" not in result


def test_one_seed_shows_no_spread_and_says_so():
    result = told({"plain-20": [ran(0.1)], "plain-56": [ran(0.3)]}, COSTS, Comparison("Depth", "network", (ERROR,)))
    assert cells(result["comparison"])["plain-56"][0] == "0.3000"
    assert "One seed" in result["comparison"] and "≈" not in result["comparison"]


def test_what_was_not_measured_is_a_dash_without_a_figure_and_units_have_figures_of_their_own():
    time = Measure("val/milliseconds", "an image", "milli seconds", more=False, form=".1f")
    loss = Measure("train/loss", "loss", "nats a step", more=False)
    comparison = Comparison(
        "Depth",
        "network",
        (ERROR, time, loss),
        curves=("train/loss", "val/milliseconds"),
        columns=lambda runs: {"more": "abc"},
    )
    result = told(RUNS, COSTS, comparison)
    assert cells(result["comparison"])["plain-20"][1:4] == ["–", "1.0000 ± 0.0000", "a"]
    figures = {key for key in result if key.startswith("comparison_")}
    assert figures == {"comparison_figure", "comparison_figure_nats_a_step", "comparison_curves"}
    assert not [key for key in result if key.endswith("/milliseconds")]


def test_figures_have_the_variants_that_were_measured(monkeypatch: pytest.MonkeyPatch):
    """Points and images may be compared in one table, where each has measures of its own."""
    seen: dict[str, list[str]] = {}

    def drawn(kind: str, names: list[str]) -> np.ndarray:
        seen[kind] = names
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(comparison_table, "bars", lambda values, *rest, **named: drawn("bars", list(values)))
    monkeypatch.setattr(comparison_table, "run_curves", lambda panels: drawn("curves", list(panels["test error"].runs)))
    other = Ran({"train": "y-0-train"}, [{"stage": "y-0-train", "step": 1, "val/modes": 8.0}])
    comparison = Comparison("Depth", "network", (ERROR,), curves=("val/error",))
    result = told({"plain-20": [ran(0.1)], "plain-56": [other]}, COSTS, comparison)
    assert seen == {"bars": ["plain-20"], "curves": ["plain-20"]}
    assert cells(result["comparison"])["plain-56"][0] == "–"


def test_the_standard_error_needs_two_seeds():
    assert math.isnan(standard_error(np.array([1.0]), np.array([1.0, 2.0])))
    assert standard_error(np.array([1.0, 3.0]), np.array([1.0, 3.0])) == pytest.approx(math.sqrt(2))
