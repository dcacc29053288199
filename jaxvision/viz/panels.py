"""Bar charts of several measures: a panel for each measure, with a bar for each name."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from jaxvision.viz.figure import new_figure, pixels_of

_COLORS = (
    *("#1f77b4", "#d95f02", "#2ca02c", "#9467bd", "#8c564b"),
    *("#e377c2", "#17becf", "#7f7f7f", "#bcbd22", "#d62728"),
)
_HEIGHT = 0.8  # of a bar, or of those that stand together


class Panel(NamedTuple):
    """One measure of all names."""

    title: str
    unit: str
    series: Mapping[str, Float[np.ndarray, " N"]]  # values of the things, not below 0; NaN: not known
    stacked: bool = True  # series are parts of a whole; or figures of the same from several sources


def panels(names: Sequence[str], rows: Mapping[str, Sequence[Panel]]) -> UInt8[np.ndarray, "H W 3"]:
    """A row of panels under each title of `rows`, with a bar for each of the N `names`, from above.

    A series has the same colour in all panels; those of panels with several are in the key. The number behind a bar is
    all of it. What is not known is a dash. ValueError: a series of another number of values.
    """
    every = [panel for row in rows.values() for panel in row]
    for panel in every:
        for name, values in panel.series.items():
            if len(values) != len(names):
                raise ValueError(f"panels: {name!r} of {panel.title!r} has {len(values)} values, not {len(names)}")
    columns = max(map(len, rows.values()))
    figure = new_figure(1.6 + 2.7 * columns, 0.6 + (1.5 + 0.34 * len(names)) * len(rows))
    colors = _colors(every)
    for part, (title, row) in zip(figure.subfigures(len(rows), 1, squeeze=False)[:, 0], rows.items(), strict=True):
        part.suptitle(title, x=0.01, ha="left", size=11, weight="bold")
        for axes, panel in zip(part.subplots(1, columns, sharey=True, squeeze=False)[0], row, strict=False):
            _draw(axes, names, panel, colors)
        for axes in part.axes[len(row) :]:
            axes.set_axis_off()
    if colors:
        key = [Patch(color=color, label=name) for name, color in colors.items()]
        figure.legend(handles=key, loc="outside lower center", ncols=min(len(key), 6), frameon=False, fontsize=9)
    return pixels_of(figure)


def _colors(every: Sequence[Panel]) -> dict[str, str]:
    """Return a colour for each series that is told apart."""
    named = dict.fromkeys(name for panel in every if len(panel.series) > 1 for name in panel.series)
    return {name: _COLORS[i % len(_COLORS)] for i, name in enumerate(named)}


def _draw(axes: Axes, names: Sequence[str], panel: Panel, colors: Mapping[str, str]) -> None:
    at, known = np.arange(len(names), dtype=np.float64), np.array(list(panel.series.values()))
    wholes = _sums(known) if panel.stacked else known
    most = float(np.nanmax(wholes)) if np.isfinite(wholes).any() else 1.0
    thick = _HEIGHT if panel.stacked else _HEIGHT / len(known)
    left: np.ndarray = np.zeros(len(names))
    for i, (name, values) in enumerate(panel.series.items()):
        y = at if panel.stacked else at + (i - (len(known) - 1) / 2) * thick
        widths = np.nan_to_num(values)
        axes.barh(y, widths, 0.95 * thick, left, color=colors.get(name, "#495057"), alpha=0.85)
        if panel.stacked:
            left = left + widths
        else:
            _label(axes, y, values, most)
    if panel.stacked:
        _label(axes, at, wholes[0], most)
    axes.set_yticks(at, list(names))
    axes.set(xlabel=panel.unit, xlim=(0, 1.3 * most or 1.0), ylim=(len(names) - 0.5, -0.5))
    axes.set_title(panel.title, loc="left", size=10)
    axes.grid(axis="x", color="#e9ecef")
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _sums(parts: Float[np.ndarray, "S N"]) -> Float[np.ndarray, "1 N"]:
    """Add the known values; NaN if none is known."""
    return np.where(np.isfinite(parts).any(axis=0), np.nansum(parts, axis=0), np.nan)[None]


def _label(axes: Axes, y: Float[np.ndarray, " N"], values: Float[np.ndarray, " N"], most: float) -> None:
    for place, value in zip(y, values, strict=True):
        text = f"{value:.3g}" if np.isfinite(value) else "–"
        axes.text(np.nan_to_num(value) + 0.02 * most, place, text, va="center", size=8, color="#212529")
