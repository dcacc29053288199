"""Curves of several things over one axis, each with the curves of its repeated runs behind their mean."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from jaxvision.viz.figure import new_figure, pixels_of

_COLORS = ("#1f77b4", "#d95f02", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#7f7f7f")
_STYLES = ("-", "--", ":")  # where the colours do not suffice


class Curves(NamedTuple):
    """The curves of one panel."""

    runs: Mapping[str, Sequence[Float[np.ndarray, "n 2"]]]  # points x, y of each run, by name
    x: str = "step"  # what the axis from left to right measures
    log: bool = False  # the axis of values is logarithmic; values that are not above 0 are left out
    ticks: Mapping[float, str] | None = None  # names of places on the axis from left to right; None: numbers


def over_places(
    values: Mapping[str, Float[np.ndarray, "R N"]], places: Sequence[str], x: str, *, log: bool = False
) -> Curves:
    """Return the curves of values at places that have names, side by side.

    Args:
        values: values of R runs at N places, by name.
        places: the names of the N places.
        x: what the places are.
        log: the axis of values is logarithmic.
    """
    at = np.arange(len(places), dtype=np.float64)
    points = {name: [np.stack([at, run], axis=1) for run in of] for name, of in values.items()}
    return Curves(points, x, log, dict(enumerate(places)))


def run_curves(panels: Mapping[str, Curves]) -> UInt8[np.ndarray, "H W 3"]:
    """Draw panels by title in two columns; a line is the mean of a name's runs, where all have a point."""
    columns = min(len(panels), 2)
    down = math.ceil(len(panels) / columns)
    figure = new_figure(6.4 * columns, 4.0 * down)
    for i, (title, curves) in enumerate(panels.items()):
        _draw(figure.add_subplot(down, columns, i + 1), title, curves)
    return pixels_of(figure)


def _draw(axes: Any, title: str, curves: Curves) -> None:
    """Draw the curves of one panel into matplotlib's axes."""
    for i, (name, runs) in enumerate(curves.runs.items()):
        color, style = _COLORS[i % len(_COLORS)], _STYLES[i // len(_COLORS) % len(_STYLES)]
        kept = [run[np.isfinite(run[:, 1]) & ((run[:, 1] > 0) | (not curves.log))] for run in runs]
        if len(kept) > 1:
            for run in kept:
                axes.plot(*run.T, color=color, alpha=0.25, linewidth=1.0)
        axes.plot(*_mean(kept).T, style, color=color, linewidth=1.8, label=name)
    if curves.log:
        axes.set_yscale("log")
    if curves.ticks:
        axes.set_xticks(list(curves.ticks), list(curves.ticks.values()), rotation=60, ha="right", size=8)
    axes.set_title(title, loc="left", fontweight="bold", fontsize=11, parse_math=False)
    axes.set_xlabel(curves.x)
    axes.grid(color="#e9ecef")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _mean(runs: Sequence[Float[np.ndarray, "_ 2"]]) -> Float[np.ndarray, "n 2"]:
    """Return the mean of the runs at those places that all of them have."""
    found = [dict(run.tolist()) for run in runs]
    places = sorted(set.intersection(*map(set, found))) if found else []
    means = [[x, sum(run[x] for run in found) / len(found)] for x in places]
    return np.array(means, np.float64).reshape(-1, 2)
