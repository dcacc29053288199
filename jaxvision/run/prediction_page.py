"""predictions.html: every image that was predicted, to be sorted and filtered by class and score.

The page shows small copies, which a browser loads when they come into view, so that it works for thousands of images.
"""

import html
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxvision.files import atomic_write
from jaxvision.viz import page

FOLDER = "predictions"
"""The folder of a workdir with the pictures."""

_SHEETS = 20  # pictures of several images in a page
_NAMED = 4  # classes in the line about an image


class Photo(NamedTuple):
    """An image that was predicted."""

    file: str  # where it was read from
    classes: tuple[tuple[str, float], ...]  # what was found, each with its score, the best first
    picture: str = ""  # the drawn image, from the workdir
    small: str = ""  # its small copy
    size: tuple[int, int] = (0, 0)  # width and height of the small copy in pixels


def write(workdir: Path, photos: Sequence[Photo], sheets: int, command: str, files: Sequence[str] = ()) -> Path:
    """Write predictions.html.

    Args:
        workdir: the folder of the pictures.
        photos: the images.
        sheets: number of pictures predictions-….png, where several images share one.
        command: the command line, to be shown in the page.
        files: names of files with the same predictions as figures.

    Returns:
        The path of the page.
    """
    shown = [workdir / f"predictions-{i:03d}.png" for i in range(min(sheets, _SHEETS))]
    rest = f" {sheets - len(shown)} more pictures lie beside them." if sheets > len(shown) else ""
    links = " · ".join(page.link(Path(name)) for name in files)
    sheets_shown = "".join(page.figure(page.picture(p, "images with predictions"), p.name) for p in shown)
    parts = (
        f"<h1>Predictions</h1><p>{len(photos)} images. As figures: {links}.{rest}</p>",
        page.command(command) if command else "",
        _controls(photos) if photos else "",
        f'<ul class="photos" id="photos">{"".join(_card(workdir, photo) for photo in photos)}</ul>' if photos else "",
        f'<div class="pictures">{sheets_shown}</div>' if shown else "",
        f"<script>{_SCRIPT}</script>" if photos else "",
    )
    path = workdir / "predictions.html"
    atomic_write(path, page.document(f"Predictions: {workdir.name}", parts, style=_STYLE))
    return path


def _controls(photos: Sequence[Photo]) -> str:
    counts = Counter(name for photo in photos for name in {name for name, _ in photo.classes})
    options = "".join(
        f'<option value="{html.escape(name)}">{page.text(name)} ({count})</option>'
        for name, count in sorted(counts.items())
    )
    orders = {"file": "file name", "high": "highest score first", "low": "lowest score first", "most": "most found"}
    ways = "".join(f'<option value="{key}">{value}</option>' for key, value in orders.items())
    return (
        '<form class="controls" id="controls">'
        f'<label>Class <select name="class"><option value="">all</option>{options}</select></label>'
        '<label>Least score <input name="score" type="number" step="0.05" placeholder="any"></label>'
        f'<label>Order <select name="order">{ways}</select></label>'
        f'<output id="count" for="controls">{len(photos)} images</output></form>'
    )


def _card(workdir: Path, photo: Photo) -> str:
    amounts = Counter(name for name, _ in photo.classes)
    best = dict(reversed(photo.classes))
    parts = [f"{f'{n} × ' if n > 1 else ''}{name} {best[name]:.2f}" for name, n in list(amounts.items())[:_NAMED]]
    told = ", ".join(parts) + (f" and {len(amounts) - _NAMED} more" if len(amounts) > _NAMED else "") or "nothing found"
    image = ""
    if photo.small:
        size = f'width="{photo.size[0]}" height="{photo.size[1]}"'
        image = (
            f'<a href="{page.address(Path(photo.picture))}"><img loading="lazy" {size} '
            f'alt="{html.escape(f"{Path(photo.file).name}: {told}")}" src="{page.address(Path(photo.small))}"></a>'
        )
    original = Path(os.path.relpath(Path(photo.file).absolute(), workdir.absolute()))
    found = html.escape(json.dumps([[name, round(score, 4)] for name, score in photo.classes]))
    return (
        f'<li data-file="{html.escape(photo.file)}" data-found="{found}">{image}'
        f'<a href="{page.address(original)}">{page.name(photo.file)}</a><small>{page.text(told)}</small></li>'
    )


_STYLE = """
.controls{display:flex;flex-wrap:wrap;gap:10px 22px;align-items:center;margin:18px 0;padding:10px 0;position:sticky;
top:0;background:var(--paper);border-bottom:1px solid var(--line);z-index:1}
.controls label{display:flex;gap:8px;align-items:center}.controls select,.controls input{font:inherit;color:inherit;
background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:4px 6px;
max-width:220px}.controls input{width:90px}
.photos{list-style:none;margin:0;padding:0;display:grid;gap:16px;
grid-template-columns:repeat(auto-fill,minmax(min(240px,100%),1fr))}
.photos li{border:1px solid var(--line);border-radius:10px;overflow:hidden;padding-bottom:10px;content-visibility:auto;
contain-intrinsic-size:auto 260px}.photos li[hidden]{display:none}
.photos img{width:100%;height:200px;object-fit:contain;background:var(--soft)}
.photos li>a:not(:first-child),.photos small{display:block;margin:6px 12px 0;overflow-wrap:anywhere}
"""

_SCRIPT = """
const form = document.getElementById("controls"), list = document.getElementById("photos");
const cards = [...list.children].map(card => ({card, file: card.dataset.file, found: JSON.parse(card.dataset.found)}));
const orders = {
  file: (a, b) => a.file.localeCompare(b.file, undefined, {numeric: true}),
  high: (a, b) => (b.best > a.best) - (b.best < a.best),
  low: (a, b) => (a.best > b.best) - (a.best < b.best),
  most: (a, b) => b.count - a.count};
function update() {
  const name = form.elements["class"].value, typed = form.elements.score.value;
  const least = typed === "" ? -Infinity : Number(typed);
  let shown = 0;
  for (const one of cards) {
    const scores = one.found.filter(pair => (!name || pair[0] === name) && pair[1] >= least).map(pair => pair[1]);
    one.best = scores.length ? Math.max(...scores) : -Infinity;
    one.count = scores.length;
    one.card.hidden = !scores.length && Boolean(name || typed);
    shown += one.card.hidden ? 0 : 1;
  }
  list.append(...cards.sort(orders[form.elements.order.value]).map(one => one.card));
  document.getElementById("count").textContent = shown + (shown === 1 ? " image" : " images");
}
form.addEventListener("input", update);
form.addEventListener("submit", event => event.preventDefault());
update();
"""
