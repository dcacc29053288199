"""gallery.html: every run below a folder, with its key figures, a picture and its report."""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from jaxvision.files import atomic_write
from jaxvision.foreign import reason
from jaxvision.run import report, results
from jaxvision.run.results import Run, number
from jaxvision.train.progress import duration
from jaxvision.viz import page

_FIGURES = 3  # of a run
_CUT = 720  # pixels of a picture that are shown, from its upper left corner: the whole would be too small
_WIDTH = 360  # pixels
_PLAIN = re.compile("confusion|errors|filters|gradients")  # pictures that say little at a glance


def write(folder: Path, say: Callable[[str], None]) -> Path:
    """Write `folder`/gallery.html, and a report for every run that has none since it last wrote something.

    A run that cannot be read is left out, with a line that says so. ValueError: there is no run below the folder.
    """
    cards: dict[Path, tuple[str, str]] = {}
    for workdir in find(folder):
        try:
            run = _read(workdir)
            cards[workdir] = results.title(run), _card(run, folder)
        except Exception as error:  # whatever a file of the run was changed to
            say(f"{workdir} is left out: {reason(error)}")
    if not cards:
        raise ValueError(f"--workdir={folder}: no run lies below it; --mode=gallery is for a folder of runs")
    path = folder / "gallery.html"
    atomic_write(path, gallery(cards, folder))
    return path


def find(folder: Path) -> Iterator[Path]:
    """Find the workdirs below a folder, by name: those that hold a run's config.json and metrics.jsonl."""
    for parent, children, files in os.walk(folder):
        if {"config.json", "metrics.jsonl"} <= set(files):
            children.clear()
            yield Path(parent)
        children[:] = sorted(name for name in children if not name.startswith("."))


def gallery(cards: Mapping[Path, tuple[str, str]], folder: Path) -> str:
    """Return the page as HTML: a heading for each area, below it the runs by experiment.

    Args:
        cards: for each workdir its title and what is shown of it, as HTML.
        folder: the folder that they lie below.
    """
    areas: dict[str, list[str]] = {}
    for workdir in sorted(cards, key=lambda workdir: (cards[workdir][0], str(workdir))):
        title, card = cards[workdir]
        areas.setdefault(title.partition("/")[0], []).append(card)
    parts = [f"<h1>Runs</h1><p class='quiet'>{len(cards)} below {page.text(folder)}</p>"]
    for area, members in areas.items():
        parts.append(page.section(area, f'<div class="runs">{"".join(members)}</div>'))
    return page.document(f"Runs below {folder}", parts, style=_STYLE)


def thumbnail(run: Run) -> str:
    """Return the upper left part of a picture of the last stage that has one, or else of the curves, as HTML, or ""."""
    shown = [run.workdir / "images" / "curves.png"]
    for stage in reversed(results.stages(run)):
        if found := results.files(run, stage, ".png"):
            shown.insert(0, found[min(found, key=lambda name: bool(_PLAIN.search(name)))][-1])
            break
    if not shown[0].exists():
        return ""
    try:
        with Image.open(shown[0]) as image:
            part = image.convert("RGB").crop((0, 0, min(image.width, _CUT), min(image.height, _CUT * 3 // 4)))
    except Exception:  # a picture that was cut short: the card goes without
        return ""
    return page.picture(np.asarray(part), f"{results.title(run)}: {shown[0].stem}", widest=_WIDTH)


def _read(workdir: Path) -> Run:
    """Read a run, after writing its report anew where that is out of date."""
    path = workdir / "report.html"
    if not path.exists() or path.stat().st_mtime < (workdir / "metrics.jsonl").stat().st_mtime:
        report.write(workdir)
    return results.read(workdir)


def _card(run: Run, folder: Path) -> str:
    lines = "".join(
        f"<div><dt>{page.name(figure.name)}</dt><dd>{number(figure.value)}</dd></div>"
        for figure in results.key_figures(run)[:_FIGURES]
    )
    took = sum(results.seconds(run, stage) for stage in results.stages(run))
    known = (
        results.state(run),
        duration(took) if took else "",
        time.strftime("%d %B %Y", time.localtime(run.rows[-1]["time"])).lstrip("0"),
    )
    where = run.workdir.relative_to(folder)
    return (
        f'<a class="run" href="{page.address(where / "report.html")}"><div class="thumb">{thumbnail(run)}</div>'
        f"<h3>{page.name(results.title(run))}</h3><p class='quiet'>{page.text(where)}</p><dl>{lines}</dl>"
        f"<p class='quiet'>{page.text(' · '.join(part for part in known if part))}</p></a>"
    )


_STYLE = """
.runs{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(260px,100%),1fr));gap:18px}
.run{display:block;border:1px solid var(--line);border-radius:10px;overflow:hidden;color:inherit;text-decoration:none}
.run:hover,.run:focus{border-color:var(--link)}.run h3{margin:12px 14px 0;font-size:1.02rem}.run p{margin:2px 14px}
.run dl{display:block;margin:8px 14px}.run dd{white-space:nowrap}.run>p:last-child{margin-bottom:12px}
.thumb{aspect-ratio:4/3;background:var(--soft);border-bottom:1px solid var(--line)}
.thumb img{width:100%;height:100%;object-fit:cover;object-position:top left}
"""
