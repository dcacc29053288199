"""The report of a dissection: an HTML page that holds its pictures, and the same values as JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.ticker import MaxNLocator
from PIL import Image

from jaxvision.viz import page as html
from jaxvision.viz.boxes import enlarge
from jaxvision.viz.figure import new_figure, pixels_of
from jaxvision.viz.grid import grid
from jaxvision.viz.text import Color

Picture = UInt8[np.ndarray, "H W 3"]

MARK: Color = (255, 193, 7)
_TILE = 96  # pixels
_GAP = 4  # pixels between a unit's images
_DIM = 0.3  # brightness where a unit is off


class Unit(NamedTuple):
    """A unit, and the concept that it agrees with best."""

    number: int
    concept: str  # empty: its IoU is too small for a name
    iou: float
    threshold: float
    information: float  # mutual information over joint entropy
    quantile_iou: float  # with the same concept, at the quantile threshold
    quantile_threshold: float
    picture: Picture  # its top images


class Effect(NamedTuple):
    """The effect of a set of units on a concept."""

    units: tuple[int, ...]
    area_before: float  # share of the pixels
    area_after: float  # with the units ablated everywhere
    effect: float  # the average causal effect δ at random places


class Concept(NamedTuple):
    """A concept, the units that cause it (by α) and that agree with it (by IoU), and the effect of sets of units."""

    name: str
    by_alpha: tuple[tuple[int, float], ...]
    by_iou: tuple[tuple[int, float], ...]
    effects: Mapping[str, Effect]  # "alpha", "iou", "random 0", …
    picture: Picture  # before and after


class Report(NamedTuple):
    """All results for one layer."""

    layer: str
    images: int
    units: tuple[Unit, ...]  # all, the best IoU first
    concepts: tuple[Concept, ...]


def as_json(report: Report) -> str:
    """Return the report without its pictures. A threshold that no value reaches is null."""
    return json.dumps(_plain(report), indent=1, allow_nan=False)


def page(report: Report, *, most: int = 64) -> str:
    """Return the report as HTML, with pictures of the first `most` units; the others are in the table alone."""
    named = sum(1 for unit in report.units if unit.concept)
    lead = (
        f"{len(report.units)} units, {named} of which agree with a concept, over {report.images} generated images. "
        "Ablated units are held at 0 everywhere; the causal effect δ is how much more of the concept is at a random "
        "place with the units held at their mean on it than with them held at 0. Of random sets of as many units, the "
        "mean and the range."
    )
    title = f"Dissection of {report.layer}"
    concepts = "".join(_concept(concept) for concept in report.concepts)
    units = "".join(_unit_card(unit) for unit in report.units[:most])
    parts = [
        f"<h1>{html.text(title)}</h1><p>{html.text(lead)}</p>",
        html.section("What units agree with", html.picture(detectors(report), "units by concept")),
        html.section("What units cause", _effects_table(report), f'<div class="concepts">{concepts}</div>'),
        html.section(
            "Units",
            "<p>Each unit's top images, lit where it is above its threshold.</p>",
            f'<div class="units">{units}</div>',
            f"<details><summary>All {len(report.units)} units</summary>{_units_table(report.units)}</details>",
        ),
    ]
    return html.document(title, parts, style=_STYLE)


def unit_picture(
    samples: UInt8[np.ndarray, "N S T C"], maps: Float[np.ndarray, "N h w"], threshold: float
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw images side by side, dark except where the unit's map reaches the threshold.

    Args:
        samples: the images.
        maps: the unit's map for each image, which is upsampled bilinearly.
        threshold: the value from which a pixel belongs to the unit.
    """
    tiles = []
    for sample, values in zip(samples, maps, strict=True):
        image = enlarge(_color(sample), _TILE)[0]
        on = resize(values, (image.shape[0], image.shape[1])) >= threshold
        dim = np.where(on[..., None], image, np.rint(_DIM * image).astype(np.uint8))
        tiles.append(_rimmed(dim, on))
    gaps = [np.pad(tile, ((0, 0), (0, _GAP), (0, 0)), constant_values=255) for tile in tiles]
    return np.concatenate(gaps, axis=1)[:, :-_GAP]


def before_after(
    before: UInt8[np.ndarray, "N S T C"],
    ablated: UInt8[np.ndarray, "N S T C"],
    inserted: UInt8[np.ndarray, "N S T C"],
    where: Float[np.ndarray, "N h w"],
    areas: Float[np.ndarray, "N 3"],
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a row for each image: unchanged, with units ablated everywhere, and with units inserted in a place.

    Args:
        before: the unchanged images.
        ablated: the images with the units ablated.
        inserted: the images with the units inserted.
        where: the cells in which units are inserted, whose outline is drawn.
        areas: the concept's share of the pixels of each image, for the captions.
    """
    tiles, captions = [], []
    for row in range(len(before)):
        images = [enlarge(_color(x[row]), _TILE)[0] for x in (before, ablated, inserted)]
        tiles += [*images[:2], _rimmed(images[2], _cells(where[row] > 0, images[2].shape[:2]))]
        words = ("image", "ablated", "inserted")
        captions += [f"{word} {area:.1%}" for word, area in zip(words, areas[row], strict=True)]
    return grid(np.stack(tiles), 3, captions, size=_TILE)


def detectors(report: Report) -> UInt8[np.ndarray, "H W 3"]:
    """Count the units that agree with each concept."""
    names = [concept.name for concept in report.concepts]
    counts = [sum(unit.concept == name for unit in report.units) for name in names]
    figure = new_figure(max(4.0, 0.55 * len(names) + 1.5), 2.6, pad=None)
    axes = figure.add_subplot()
    bars = axes.bar(range(len(names)), counts, color="#1d78d8", width=0.7)
    axes.bar_label(bars, fontsize=9)
    axes.set_xticks(range(len(names)), names, fontsize=9, rotation=0 if max(map(len, names)) < 9 else 45, ha="center")
    axes.set_ylabel("units")
    axes.margins(y=0.15)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    return pixels_of(figure)


def resize(values: Float[np.ndarray, "h w"], shape: tuple[int, int]) -> Float[np.ndarray, "H W"]:
    """Upsample a map bilinearly to `shape`."""
    return np.asarray(
        Image.fromarray(values.astype(np.float32)).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    )


def _rimmed(image: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """Paint the mask's outermost pixels in the colour of marks; the mask continues beyond the image's border."""
    wide = np.pad(mask, 1, mode="edge")
    inner = mask & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return np.where((mask & ~inner)[..., None], np.array(MARK, np.uint8).reshape(1, 1, 3), image)


def _cells(mask: Bool[np.ndarray, "h w"], shape: tuple[int, ...]) -> Bool[np.ndarray, "H W"]:
    """Return the cell of each pixel."""
    rows, columns = (np.arange(n) * m // n for n, m in zip(shape[:2], mask.shape, strict=True))
    return mask[rows][:, columns]


def _color(image: UInt8[np.ndarray, "S T C"]) -> UInt8[np.ndarray, "S T 3"]:
    return np.broadcast_to(image, (*image.shape[:2], 3)).copy()


def _effects_table(report: Report) -> str:
    """Return a table with a line for each concept; several sets of a kind give their mean and range."""
    kinds = list(dict.fromkeys(_kind(name) for concept in report.concepts for name in concept.effects))
    titles = {"alpha": "by α", "iou": "by IoU"}
    columns = ["concept", "area", *(x for kind in kinds for x in (f"{titles.get(kind, kind)}: area left", "δ"))]
    lines = []
    for concept in report.concepts:
        before = next(iter(concept.effects.values())).area_before
        line = [concept.name, f"{before:.1%}"]
        for kind in kinds:
            found = [e for name, e in concept.effects.items() if _kind(name) == kind]
            left = [e.area_after / max(e.area_before, 1e-9) for e in found]
            line += [_spread(left, ".0%"), _spread([e.effect for e in found], ".3f")]
        lines.append(line)
    return html.table(columns, lines)


def _spread(values: Sequence[float], style: str) -> str:
    mean = f"{np.mean(values):{style}}"
    return f"{mean} ({min(values):{style}} to {max(values):{style}})" if len(values) > 1 else mean


def _concept(concept: Concept) -> str:
    rankings = "".join(
        f"<p><b>{html.text(title)}</b> {', '.join(f'{unit}&nbsp;<i>{value:.2f}</i>' for unit, value in ranking)}</p>"
        for title, ranking in (("units by α", concept.by_alpha), ("units by IoU", concept.by_iou))
    )
    picture = html.picture(concept.picture, f"{concept.name}: before and after")
    return f"<div><h3>{html.text(concept.name)}</h3>{rankings}{picture}</div>"


def _unit_card(unit: Unit) -> str:
    title = f"unit {unit.number}: {unit.concept or 'no concept'}"
    figures = f"IoU {unit.iou:.3f} · information {unit.information:.3f} · IoU at the quantile {unit.quantile_iou:.3f}"
    return html.figure(html.picture(unit.picture, title), f"{title} · {figures}")


def _units_table(units: Sequence[Unit]) -> str:
    lines = ((u.number, u.concept, f"{u.iou:.3f}", f"{u.threshold:.3g}", f"{u.quantile_iou:.3f}") for u in units)
    return html.table(("unit", "concept", "IoU", "threshold", "IoU at the quantile"), lines)


def _kind(name: str) -> str:
    return name.split()[0]


def _plain(value: Any) -> Any:
    """Convert NamedTuples to objects without their pictures, and infinities to null."""
    if hasattr(value, "_asdict"):
        return {k: _plain(v) for k, v in value._asdict().items() if k != "picture"}
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.integer) else value


_STYLE = """
.concepts{display:flex;flex-wrap:wrap;gap:0 28px}.concepts>div{width:340px;max-width:100%}
.units{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(540px,100%),1fr));gap:18px}
i{color:var(--quiet);font-style:normal}
"""
