"""What is told of a comparison: a table with the spread over seeds and the costs, differences, figures, and metrics."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxvision.recipes.step_costs import Cost
from jaxvision.train.types import Result
from jaxvision.viz.bars import bars
from jaxvision.viz.run_curves import Curves, run_curves
from jaxvision.viz.table import table

_COSTS = (
    "Seconds are those of training, without evaluations; the first seed has its compilation. Multiply-adds are those "
    "of a training step for one image, and memory is what the step needs at once, with its state and batch; both are "
    "counted by shapes from the traced program."
)
_ALIKE = "≈ marks what differs from the best of its column by less than twice the standard error of the difference."
_ONE_SEED = "One seed: the spread is not known, so that no difference can be told from chance (--seeds=3 shows it)."


class Measure(NamedTuple):
    """A figure by which variants are compared: the last value of a metric in a run."""

    key: str  # the metric, such as "val/accuracy"
    title: str  # its heading
    unit: str  # label of the figure's axis; measures of one unit share a figure
    more: bool = True  # True where more is better
    form: str = ".4f"  # format of a value


class Ran(NamedTuple):
    """What one run of a variant, with one seed, has written."""

    stages: Mapping[str, str]  # its stages: the name in the variant's own experiment -> the name in the comparison
    rows: Sequence[Mapping[str, Any]]  # those rows of metrics.jsonl that are of these stages

    def value(self, key: str) -> float:
        """Return the last value of a metric; NaN where none was written."""
        return next((float(row[key]) for row in reversed(self.rows) if key in row), math.nan)

    def seconds(self, stage: str) -> float:
        """Return the seconds that one of its stages took, by the stage's own name; NaN where none were written."""
        return self.value(f"time/{self.stages[stage]}_seconds")

    def all_seconds(self) -> float:
        """Return the seconds of all of its stages."""
        return math.fsum(second for stage in self.stages if not math.isnan(second := self.seconds(stage)))

    def curve(self, key: str) -> Float[np.ndarray, "n 2"]:
        """Return the steps at which a metric was written, and its values."""
        points = [(row["step"], row[key]) for row in self.rows if key in row]
        return np.array(points, np.float64).reshape(-1, 2)


Runs = Mapping[str, Sequence[Ran]]
"""What was written of each variant, by its name and by seed."""


class Comparison(NamedTuple):
    """What is told of the variants when all are trained."""

    title: str  # of the figure
    what: str  # heading of the variants' names, such as "network"
    measures: tuple[Measure, ...]
    pairs: tuple[tuple[str, str], ...] = ()  # variants whose difference is told, where both were trained
    curves: tuple[str, ...] = ()  # metrics that are drawn over the steps
    notes: tuple[str, ...] = ()  # paragraphs below the table
    columns: Callable[[Runs], Mapping[str, Sequence[str]]] | None = None  # further cells of the table, by heading
    more: Callable[[Runs], Result] | None = None  # further tables, figures and metrics
    prefix: str = ""  # what the names of metrics begin with, before "<variant>/"


def told(runs: Runs, costs: Mapping[str, Cost], comparison: Comparison) -> Result:
    """Return what a comparison writes.

    Args:
        runs: what was written of each variant.
        costs: what a training step of each variant needs.
        comparison: what is to be told.

    Returns:
        "comparison", the table with its notes; "comparison_figure" and, for each further unit of the measures,
        "comparison_figure_<unit>"; "comparison_curves"; and "<prefix><variant>/<metric>", the means over the seeds.
        There is no figure of what was measured of none.
    """
    scores = {
        measure: {name: np.array([ran.value(measure.key) for ran in of]) for name, of in runs.items()}
        for measure in comparison.measures
    }
    seeds = max(len(of_variant) for of_variant in runs.values())
    text = [_table(runs, costs, scores, comparison), _ALIKE if seeds > 1 else _ONE_SEED, *comparison.notes, _COSTS]
    if pairs := [pair for pair in comparison.pairs if set(pair) <= set(runs)]:
        text.insert(1, _differences(pairs, scores))
    result: Result = {"comparison": "\n\n".join(text)}
    units = list(dict.fromkeys(measure.unit for measure in comparison.measures))
    for unit in units:
        name = "comparison_figure" if unit == units[0] else f"comparison_figure_{unit.replace(' ', '_')}"
        if bars_of := _measured({measure: of for measure, of in scores.items() if measure.unit == unit}):
            series = [measure.title for measure in comparison.measures if measure.unit == unit]
            result[name] = bars(bars_of, series, title=comparison.title, unit=unit)
    titles = {measure.key: measure.title for measure in comparison.measures}
    panels = {titles.get(key, key): Curves(curves) for key in comparison.curves if (curves := _curves(runs, key))}
    if panels:
        result["comparison_curves"] = run_curves(panels)
    for measure, of_variants in scores.items():
        for name, values in of_variants.items():
            if not math.isnan(mean := float(values.mean())):
                result[f"{comparison.prefix}{name}/{measure.key.rpartition('/')[2]}"] = mean
    return result


def standard_error(first: Float[np.ndarray, " R"], second: Float[np.ndarray, " S"]) -> float:
    """Return the standard error of the difference of two means over seeds; NaN with fewer than two seeds of either."""
    if min(len(first), len(second)) < 2:
        return math.nan
    return math.hypot(*(float(values.std(ddof=1)) / math.sqrt(len(values)) for values in (first, second)))


def _table(
    runs: Runs,
    costs: Mapping[str, Cost],
    scores: Mapping[Measure, Mapping[str, Float[np.ndarray, " R"]]],
    comparison: Comparison,
) -> str:
    cells: dict[str, Sequence[str]] = {measure.title: _column(measure, of) for measure, of in scores.items()}
    cells |= comparison.columns(runs) if comparison.columns else {}
    cells["seconds"] = [_cell(np.array([ran.all_seconds() for ran in of]), ".1f") for of in runs.values()]
    for title, field, unit in (
        ("parameters, M", "parameters", 1e6),
        ("multiply-adds, M", "multiply_adds", 1e6),
        ("memory, MB", "peak_megabytes", 1.0),
    ):
        cells[title] = [f"{getattr(costs[name], field) / unit:.4g}" for name in runs]
    rows = zip(*cells.values(), strict=True)
    return table((comparison.what, *cells), dict(zip(map(_shown, runs), rows, strict=True)))


def _column(measure: Measure, of_variants: Mapping[str, Float[np.ndarray, " R"]]) -> list[str]:
    """Return a measure's cells, marked where the spread is too large to tell one from the best."""
    known = [values for values in of_variants.values() if np.isfinite(values).all()]
    best = (max if measure.more else min)(known, key=lambda values: values.mean(), default=None)
    cells = []
    for values in of_variants.values():
        alike = best is not None and values is not best and _alike(values, best)
        cells.append(_cell(values, measure.form) + (" ≈" if alike else ""))
    return cells


def _alike(first: Float[np.ndarray, " R"], second: Float[np.ndarray, " S"]) -> bool:
    return abs(float(first.mean() - second.mean())) < 2 * standard_error(first, second)


def _differences(
    pairs: Sequence[tuple[str, str]], scores: Mapping[Measure, Mapping[str, Float[np.ndarray, " R"]]]
) -> str:
    """Return a table of differences of means, each with twice its standard error."""
    rows = {}
    for first, second in pairs:
        cells = []
        for measure, of_variants in scores.items():
            one, other = of_variants[first], of_variants[second]
            difference, error = float(one.mean() - other.mean()), standard_error(one, other)
            spread = "" if math.isnan(error) else f" ± {2 * error:{measure.form}}"
            cells.append(f"{difference:+{measure.form}}{spread}" + (" ≈" if _alike(one, other) else ""))
        rows[f"{_shown(first)} less {_shown(second)}"] = cells
    return table(("difference ± 2 standard errors", *(measure.title for measure in scores)), rows)


def _curves(runs: Runs, key: str) -> dict[str, list[Float[np.ndarray, "n 2"]]]:
    """Return the curves of a metric of those variants that have it."""
    found = {_shown(name): [ran.curve(key) for ran in of] for name, of in runs.items()}
    return {name: curves for name, curves in found.items() if any(map(len, curves))}


def _measured(scores: Mapping[Measure, Mapping[str, Float[np.ndarray, " R"]]]) -> dict[str, Float[np.ndarray, "R S"]]:
    """Return the values of those variants for which at least one measure is known."""
    names = list(next(iter(scores.values())))
    values = {_shown(name): np.stack([of[name] for of in scores.values()], axis=1) for name in names}
    return {name: of for name, of in values.items() if np.isfinite(of).any()}


def _shown(name: str) -> str:
    return name.replace("_", " ")


def _cell(runs: Float[np.ndarray, " R"], form: str) -> str:
    if np.isnan(runs).all():
        return "–"
    return f"{runs.mean():{form}}" + (f" ± {runs.std(ddof=1):{form}}" if len(runs) > 1 else "")
