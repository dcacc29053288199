"""Bar charts of several values side by side, with the spread of repeated runs."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from jaxvision.viz.figure import new_figure, pixels_of

_COLORS = ("#1f77b4", "#d95f02", "#2ca02c", "#9467bd")


def bars(
    values: Mapping[str, Float[np.ndarray, "R S"]], series: Sequence[str], *, title: str, unit: str
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a group of bars for each name: the mean over runs with its value, and a dot for each run.

    With two runs or more a line spans the standard deviation to both sides. The axis starts at 0 or, if all values are
    far from it, below the lowest by a tenth of their range; its label then says where. Values that are not known, NaN,
    have no bar.

    Args:
        values: values of R runs in S series, by the group's name.
        series: the names of the S series.
        title: the title of the figure.
        unit: the label of the axis.

    Raises:
        ValueError: a group has another number of series.
    """
    for name, runs in values.items():
        if runs.shape[1] != len(series):
            raise ValueError(f"bars: {name!r} has {runs.shape[1]} series, not {len(series)}")
    figure = new_figure(max(6.4, 1.6 + 1.25 * len(values)), 4.8)
    axes = figure.add_subplot()
    width = 0.8 / len(series)
    low, high = _limits(np.concatenate([runs.ravel() for runs in values.values()]))
    for s, name in enumerate(series):
        at = np.arange(len(values)) + (s - (len(series) - 1) / 2) * width
        means = np.array([runs[:, s].mean() for runs in values.values()])
        spread = [runs[:, s].std(ddof=1) for runs in values.values()] if _repeated(values) else None
        axes.bar(
            at, means, 0.92 * width, yerr=spread, color=_COLORS[s % len(_COLORS)], alpha=0.85, capsize=3, label=name
        )
        for i, (x, runs, mean) in enumerate(zip(at, values.values(), means, strict=True)):
            axes.scatter(np.full(len(runs), x), runs[:, s], s=10, color="#212529", zorder=3)
            text, top = (
                (f"{mean:.3g}", max(runs[:, s].max(), mean + (spread[i] if spread else 0.0)))
                if np.isfinite(mean)
                else ("–", low)
            )
            axes.annotate(text, (x, top), (0, 7), textcoords="offset points", ha="center", size=8)
    axes.set_xticks(np.arange(len(values)), list(values), rotation=20 if len(values) > 4 else 0)
    label = f"{unit} (the axis starts at {low:.3g}, not at 0)" if low > 0 else unit
    axes.set(title=title, ylabel=label, ylim=(low, high))
    axes.grid(axis="y", color="#e9ecef")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return pixels_of(figure)


def _repeated(values: Mapping[str, Float[np.ndarray, "R S"]]) -> bool:
    return all(len(runs) > 1 for runs in values.values())


def _limits(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    room = max(high - low, 1e-3 * max(abs(high), 1.0))
    return (low - room / 10 if low > room else min(low, 0.0)), high + room / 6
