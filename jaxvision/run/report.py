"""report.html of a workdir: how a run went and what came out, on one page.

Its pictures lie in the page itself, so that it can be sent or moved alone; only links to other pages need the workdir.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxvision.files import atomic_write
from jaxvision.foreign import named, reason
from jaxvision.run import data_section, glossary, results
from jaxvision.run.results import EVALUATION, Run, number
from jaxvision.train.progress import duration
from jaxvision.viz import page

_CARDS = 4
_EARLIER = 8  # older pictures of a kind
_EARLIER_WIDTH = 300  # pixels
_AGAIN = "Typed again, this command goes on from the last checkpoint; with another --workdir it begins anew."


def safely(write: Callable[[], Path], say: Callable[[str], None]) -> None:
    """Write a page or a picture and say where; an error becomes a line too, as a page is not worth losing a run."""
    try:
        say(f"written to {write()}")
    except Exception as error:
        say(f"no page was written: {reason(error)}")


def write(workdir: Path, about: Mapping[str, Any] | None = None) -> Path:
    """Write report.html of a run; `about` is for a workdir without config.json.

    Raises ValueError where there is no result yet, or a file of the run is not what was written there.
    """
    run = results.read(workdir, about)
    if not run.rows:
        raise ValueError(f"{workdir}/metrics.jsonl: nothing was written yet")
    with named(workdir):
        return _put(workdir / "report.html", report(run))


def report(run: Run) -> str:
    """Return the page as HTML: figures and tables first, then curves, stages, times and settings."""
    stages = results.stages(run)
    settings = {name: _setting(value) for name, value in run.about.get("config", {}).items()}
    parts = [
        f"<h1>{page.text(results.title(run))}</h1>{_lead(run)}",
        page.cards((_card(run, figure) for figure in results.key_figures(run)[:_CARDS]), glossary.meaning),
        _texts(run, stages[-1]) if stages else "",
        _command(run.about.get("command", ""), _AGAIN) if stages else "",
        page.section("Curves", _curves(run)),
        *(
            # The tables of the last stage stand at the top of the page.
            page.section(f"Stage {stage}", _texts(run, stage) if stage != stages[-1] else "", _outcome(run, stage))
            for stage in stages
        ),
        _evaluation(run),
        data_section.section("Training data", run.data, run.workdir),
        page.section("Time", _paces(run)),
        page.section("Configuration", page.fields(settings)),
        page.section("Versions", page.fields(run.about.get("versions", {}))),
    ]
    return page.document(f"{results.title(run)}: {run.workdir.name}", parts)


def _lead(run: Run) -> str:
    """Return the line under the title: workdir, state, date, duration, devices, precision and seed."""
    began = time.strftime("%d %B %Y, %H:%M", time.localtime(run.rows[0]["time"])).lstrip("0")
    took = sum(results.seconds(run, stage) for stage in results.stages(run))
    seed = f"seed {run.about['seed']}" if "seed" in run.about else ""
    known = (
        str(run.workdir),
        results.state(run),
        f"began {began}",
        f"took {duration(took)}" if took else "",
        run.about.get("devices", ""),
        precision if (precision := run.about.get("precision", "float32")) != "float32" else "",
        seed,
    )
    return _quiet(known)


def _card(run: Run, figure: results.Figure) -> tuple[str, str, str]:
    where = f"step {figure.step}" if figure.step else ""
    stage = figure.stage if len(results.stages(run)) > 1 or figure.stage == EVALUATION else ""
    return number(figure.value), figure.name, ", ".join(part for part in (stage, where) if part)


def _curves(run: Run) -> str:
    """Draw the metrics that changed: a single value is no curve."""
    from jaxvision.viz.curves import panels  # matplotlib takes a second, which the start need not wait

    rows = [row for row in run.rows if row["stage"] != EVALUATION]
    seen = {(row["stage"], name, value) for row in rows for name, value in row.items() if "/" in name}
    values = Counter((stage, name) for stage, name, _ in seen)
    drawn = panels([{k: v for k, v in row.items() if values[row["stage"], k] > 1 or "/" not in k} for row in rows])
    images = "".join(page.picture(panel, f"{name} over the steps") for name, panel in drawn.items())
    return f'<div class="curves">{images}</div>' if images else ""


def _paces(run: Run) -> str:
    """Return a table with each stage's steps, time and speed."""
    lines = []
    for stage in results.stages(run):
        rows, took = results.rows_of(run, stage), results.seconds(run, stage)
        rates = [row["time/steps_per_second"] for row in rows if "time/steps_per_second" in row]
        pace = number(rates[-1]) if rates else ""
        lines.append((stage, rows[-1]["step"] or "", duration(took) if took else "", pace))
    return page.table(("stage", "steps", "time", "steps a second, at the end"), lines) if lines else ""


def _evaluation(run: Run) -> str:
    """Return the section about the last --mode=evaluate."""
    command = _command(run.evaluation.get("command", ""))
    return page.section("Evaluation", command, _texts(run, EVALUATION), _outcome(run, EVALUATION))


def _outcome(run: Run, stage: str) -> str:
    """Return a stage's figures, its newest picture of each kind, small earlier ones, and links to other pages."""
    values = {figure.name: number(figure.value) for figure in results.figures(run, stage)}
    shown, before = [], []
    for name, paths in results.files(run, stage, ".png").items():
        shown.append(page.figure(page.picture(paths[-1], name), f"{name} · {paths[-1].name}"))
        every = -(-(len(paths) - 1) // _EARLIER) or 1
        before += [page.figure(page.picture(p, p.stem, widest=_EARLIER_WIDTH), p.stem) for p in paths[:-1][::every]]
    earlier = f"<details><summary>Earlier pictures</summary>{_side_by_side(before)}</details>" if before else ""
    pages = [paths[-1].relative_to(run.workdir) for paths in results.files(run, stage, ".html", ".json").values()]
    links = f"<p>{' · '.join(map(page.link, pages))}</p>" if pages else ""
    return page.fields(values, glossary.meaning) + links + _side_by_side(shown) + earlier


def _texts(run: Run, stage: str) -> str:
    paths = [paths[-1] for paths in results.files(run, stage, ".md").values()]
    return "".join(page.from_markdown(path.read_text(encoding="utf-8")) for path in paths)


def _side_by_side(shown: Iterable[str]) -> str:
    every = "".join(shown)
    return f'<div class="pictures">{every}</div>' if every else ""


def _command(command: str, remark: str = "") -> str:
    return f"{page.command(command)}{_quiet((remark,))}" if command else ""


def _quiet(parts: Iterable[str]) -> str:
    line = " · ".join(part for part in parts if part)
    return f'<p class="quiet">{page.text(line)}</p>' if line else ""


def _setting(value: Any) -> str:
    """Format a setting as it is typed: lists joined by commas, booleans in lower case."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _put(path: Path, text: str) -> Path:
    """Write a page and return its path."""
    atomic_write(path, text)
    return path
