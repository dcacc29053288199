"""Curves of a training run, from its metrics.jsonl."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from jaxvision.viz.boxes import color_of
from jaxvision.viz.figure import new_figure, pixels_of

_COLORS = ("#1f77b4", "#d95f02", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#7f7f7f")
_STYLES = ("-", "--", ":")  # where the colours do not suffice
_FEW = 20  # points; so few are marked one by one, more are smoothed
_WIDE = 50.0  # ratio of largest to smallest value from which an axis is logarithmic
_MANY = 6  # series, from which their legend stands beside the panel
_MOST = 16  # series in a panel; more go on in another
_CLASSES = "IoU of classes"
# The title of a panel, and the metrics that share it because they measure the same: by what follows the last slash.
_PANELS: tuple[tuple[str, str], ...] = (
    ("loss", r"loss|loss_.*|nll"),
    ("learning rate", r"learning_rate|lr|lr_.*"),
    (_CLASSES, r"iou_.*"),
    ("accuracy", r"accuracy|\w+_accuracy|top\d+|most_frequent"),
    ("average precision", r"(mask_)?AP.*"),
    ("recall", r"(mask_)?AR.*|recall\w*|mabo"),
    ("IoU", r"mean_iou|frequency_weighted_iou"),
)
_SCORES = (_CLASSES, "accuracy", "average precision", "recall", "IoU")  # from 0 to 1, never on a logarithmic axis
_ORDER = ("loss", "accuracy", "average precision", "IoU", _CLASSES, "recall", "learning rate")  # come first


class _Series(NamedTuple):
    steps: Float[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]
    missing: int  # values that were not finite


def curves(rows: Sequence[Mapping[str, Any]]) -> UInt8[np.ndarray, "H W 3"]:
    """Draw one figure of every metric over the training steps.

    Metrics of one meaning share a panel: the losses of a stage, accuracies, average precisions and so on; every other
    metric has its own. Losses have a logarithmic axis if their range is wide. Long series are smoothed and drawn over
    their faint points. Values that are not finite are left out and counted in the legend. If there are several stages,
    only metrics that were measured more than once are drawn, if there are any. `rows` are the objects of metrics.jsonl.

    Raises:
        ValueError: there is no metric at all.
    """
    series = _collect(rows)
    if not series:
        raise ValueError("metrics.jsonl: no row has a step and a metric; let the run write one first")
    return _drawn(_arrange(series), series, dots=100)


def panels(rows: Sequence[Mapping[str, Any]]) -> dict[str, UInt8[np.ndarray, "H W 3"]]:
    """Return the panels of `curves` one by one, by title, in a resolution that suits a page."""
    series = _collect(rows)
    return {title: _drawn({title: names}, series, dots=160) for title, names in _arrange(series).items()}


def _drawn(
    panels: Mapping[str, Sequence[str]], series: Mapping[str, _Series], *, dots: int
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw panels of these series in two columns, with `dots` dots an inch."""
    columns = min(len(panels), 2)
    down = math.ceil(len(panels) / columns)
    figure = new_figure(6.4 * columns, 4.0 * down, dots=dots)
    colors = _class_colors(series)
    for i, (title, names) in enumerate(panels.items()):
        _draw_panel(figure.add_subplot(down, columns, i + 1), title, {n: series[n] for n in names}, colors)
    return pixels_of(figure)


def _collect(rows: Sequence[Mapping[str, Any]]) -> dict[str, _Series]:
    """Collect the series by name, in order of first appearance; a metric's name has a "/" or is the learning rate."""
    several = len({row.get("stage") for row in rows}) > 1  # stages count their steps apart
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for key, value in row.items():
            if "step" in row and _is_metric(key, value):
                name = f"{row.get('stage')}: {key}" if several else key
                points.setdefault(name, []).append((float(row["step"]), math.nan if value is None else float(value)))
    repeated = {name: pairs for name, pairs in points.items() if len(pairs) > 1} if several else {}
    return {name: _series(pairs) for name, pairs in (repeated or points).items()}


def _series(pairs: Sequence[tuple[float, float]]) -> _Series:
    steps, values = np.array(pairs, np.float64).T
    finite = np.isfinite(values)
    return _Series(steps[finite], values[finite], int(np.sum(~finite)))


def _is_metric(name: str, value: Any) -> bool:
    number = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    return number and ("/" in name or name == "learning_rate")


def _arrange(series: Mapping[str, _Series]) -> dict[str, list[str]]:
    """Sort the series into panels, by title."""
    panels: dict[str, list[str]] = {}
    several = len({name.partition(":")[0] for name in series if ": " in name}) > 1
    for name in series:
        panels.setdefault(_panel(name, several), []).append(name)
    known = sorted((title for title in panels if _kind(title) in _ORDER), key=lambda title: _ORDER.index(_kind(title)))
    first = {title: panels.pop(title) for title in known}
    return {part: names for title, all_names in (first | panels).items() for part, names in _parts(title, all_names)}


def _parts(title: str, names: list[str]) -> list[tuple[str, list[str]]]:
    """Split a panel with too many series into equally full ones."""
    count = math.ceil(len(names) / _MOST)
    parts = [names[i * len(names) // count : (i + 1) * len(names) // count] for i in range(count)]
    return [(f"{title}, {i} of {count}" if count > 1 else title, part) for i, part in enumerate(parts, 1)]


def _panel(name: str, several: bool) -> str:
    """Return the title of a metric's panel; the losses of each stage have one of their own."""
    metric = name.rsplit("/", 1)[-1]
    found = next((title for title, pattern in _PANELS if re.fullmatch(pattern, metric)), metric.replace("_", " "))
    return f"{found}: {name.partition(':')[0]}" if found == "loss" and several else found


def _kind(title: str) -> str:
    """Return what a panel shows, of "loss: judge, 2 of 3" the word loss."""
    return re.split("[,:]", title)[0]


def _class_colors(series: Mapping[str, _Series]) -> dict[str, str]:
    """Return the colours of series about classes, which are those of the classes in every picture."""
    own: dict[str, list[str]] = {}
    for name in series:
        if _panel(name, several=False) == _CLASSES:
            own.setdefault(name.rpartition("/")[0], []).append(name)
    colors: dict[str, str] = {}
    for names in own.values():
        first = 0 if names[0].endswith("/iou_background") else 1
        colors |= {name: "#{:02x}{:02x}{:02x}".format(*color_of(i)) for i, name in enumerate(names, start=first)}
    return colors


def _draw_panel(axes: Axes, title: str, series: Mapping[str, _Series], colors: Mapping[str, str]) -> None:
    kind = _kind(title)
    for i, (name, one) in enumerate(series.items()):
        look = _COLORS[i % len(_COLORS)], _STYLES[i // len(_COLORS) % len(_STYLES)]
        look = (colors[name], "-") if name in colors else look
        _draw_series(axes, name, one, *look, smooth=kind != "learning rate")
    values = np.concatenate([one.values for one in series.values()])
    if kind not in _SCORES and values.size and values.min() > 0.0 and values.max() / values.min() > _WIDE:
        axes.set_yscale("log")
    axes.set_title(title, loc="left", fontweight="bold", fontsize=11, parse_math=False)
    axes.set_xlabel("step")
    last = max(max((one.steps.max() for one in series.values() if one.steps.size), default=1.0), 1.0)
    axes.set_xlim(-0.02 * last, 1.02 * last)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(color="#e9ecef")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    beside = len(series) > _MANY
    legend = axes.legend(
        frameon=False,
        fontsize=9 if len(series) <= 16 else 7,
        loc="center left" if beside else "best",
        bbox_to_anchor=(1.0, 0.5) if beside else None,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_series(axes: Axes, name: str, one: _Series, color: str, style: str, *, smooth: bool) -> None:
    label = f"{name} ({one.missing} not finite)" if one.missing else name
    few = one.values.size <= _FEW
    if smooth and not few:
        axes.plot(one.steps, one.values, color=color, alpha=0.25, linewidth=1.0)
        axes.plot(one.steps, _smooth(one.values), style, color=color, linewidth=1.8, label=label)
    else:
        marker = "o" if few else "none"
        axes.plot(one.steps, one.values, style, color=color, linewidth=1.8, marker=marker, markersize=4, label=label)


def _smooth(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Average the points up to a fortieth of the series away on both sides, so that the curve does not lag."""
    index = np.arange(len(values))
    reach = np.minimum(max(len(values) // 40, 1), np.minimum(index, index[::-1]))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[index + reach + 1] - sums[index - reach]) / (2 * reach + 1)
