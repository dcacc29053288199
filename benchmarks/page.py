"""All benchmarks on the machine at hand, one after another, and one page about them; `make bench` runs it.

    python benchmarks/page.py [--only=classification,gan] [--rounds=3] [--folder=runs/bench]

Writes FOLDER/page.md and FOLDER/page.json: the machine, versions, medians with the spread over the rounds, and the
ratios to the peers. What was not run is named with the reason. Ratios are compared with those of the page that was
there before, if it is of the same processor; seconds are not, since they drift with what else a machine does. The exit
code is 1 where a ratio fell or a benchmark failed.
"""

import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata, util
from typing import Any, NamedTuple

import record
from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from jaxvision.files import atomic_write

HERE = pathlib.Path(__file__).resolve().parent
FELL = 0.9  # of the last ratio: what is below has fallen, if the rounds' spreads do not meet either
PACKAGES = ("jax", "jaxlib", "flax", "numpy", "torch", "torchvision")

_ONLY = flags.DEFINE_list("only", [], "names of benchmarks; none: all")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "alternating rounds of each comparison", lower_bound=1)
_FOLDER = flags.DEFINE_string("folder", "runs/bench", "where the page is written and the last one is looked for")


_HEAD = (
    "| benchmark | row | | ours, ms | peer, ms | peer | ratio | peak memory, MiB |\n|---|---|---|---|---|---|---|---|"
)


class Script(NamedTuple):
    """A benchmark and how the page runs it."""

    name: str
    arguments: tuple[str, ...] = ()
    needs: tuple[str, ...] = ("torch", "torchvision")  # packages
    has_rounds: bool = True  # it takes --rounds
    not_run: str = ""  # the reason for which the page never runs it

    @property
    def title(self) -> str:
        """The name with the arguments."""
        return " ".join((self.name, *self.arguments))


class Row(NamedTuple):
    """One comparison: our seconds and the best peer's, medians with lowest and highest, and their ratio."""

    script: str
    row: str
    what: str
    ours: tuple[float, float, float]
    peer: str
    theirs: tuple[float, float, float]
    ratio: tuple[float, float, float]  # theirs / ours: above 1 ours is faster
    peaks: tuple[float, float] | None  # MiB

    @property
    def key(self) -> str:
        """The name under which the row is found in another page."""
        return " | ".join((self.script, self.row, self.what))


SCRIPTS = (
    *(Script("classification", (f"--batch_size={size}",)) for size in (1, 8, 16)),
    Script("detection"),
    Script("segmentation"),
    Script("contrastive"),
    Script("gan", needs=("torch",)),
    Script("input_pipeline"),
    Script("evaluation", needs=()),
    Script("winograd", ("--channels=64,256,512",), needs=()),
    Script("data_loading", ("--files=20000", "--annotations=30000", "--evaluated=5000"), needs=()),
    Script("parallel", needs=(), has_rounds=False),
    Script("proposals", needs=("cv2", "imgviz"), has_rounds=False),
    Script("decoding", not_run="it needs photos: --images='photos/*.jpg'"),
    Script("twins", not_run="it trains to the end, for hours"),
    Script("presets", not_run="it runs every published preset, for hours"),
)


def main(argv: list[str]) -> None:
    """Run the benchmarks, write the page and end with 1 where a ratio fell."""
    del argv
    if unknown := set(_ONLY.value) - {script.name for script in SCRIPTS}:
        sys.exit(
            f"--only={','.join(sorted(unknown))}: benchmarks are {', '.join(dict.fromkeys(s.name for s in SCRIPTS))}"
        )
    folder = pathlib.Path(_FOLDER.value)
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Row] = []
    outputs: dict[str, str] = {}
    missing: dict[str, str] = {}
    failed: list[str] = []
    began = machine()
    for script in SCRIPTS:
        if reason := reason_not_to_run(script, _ONLY.value):
            missing[script.title] = reason
            continue
        print(f"{script.title} …", flush=True)
        rows, outputs[script.title], code = run(script, _ROUNDS.value)
        found += rows
        if code:
            failed.append(script.title)
    before = json.loads((folder / "page.json").read_text()) if (folder / "page.json").exists() else {}
    fell, compared = regressions(found, before, began["processor"])
    text = page(began, found, outputs, missing, failed, fell, compared)
    atomic_write(folder / "page.md", text)
    kept = before["ratios"] if before and before["machine"]["processor"] == began["processor"] else {}
    ratios = {**kept, **{row.key: row.ratio for row in found}}
    atomic_write(folder / "page.json", json.dumps({"machine": began, "ratios": ratios}, indent=1))
    counts = f"{len(found)} rows, {len(missing)} not run, {len(failed)} failed, {len(fell)} fell"
    print(f"written to {folder}/page.md; {counts}")
    sys.exit(1 if fell or failed else 0)


def reason_not_to_run(script: Script, only: Sequence[str]) -> str:
    """Return why a benchmark is left out, in a few words; "" where it is to run."""
    if only and script.name not in only:
        return "not among --only"
    lacking = [package for package in script.needs if util.find_spec(package) is None]
    return script.not_run or (f"{', '.join(lacking)} not installed" if lacking else "")


def run(script: Script, count: int) -> tuple[list[Row], str, int]:
    """Run one benchmark in a process of its own; return its rows, what it printed, and its exit code."""
    command = [sys.executable, str(HERE / f"{script.name}.py"), *script.arguments]
    command += [f"--rounds={count}"] if script.has_rounds else []
    with tempfile.TemporaryDirectory() as temporary:
        left = pathlib.Path(temporary) / "rounds.jsonl"
        done = subprocess.run(command, env={**os.environ, record.FILE: str(left)}, capture_output=True, text=True)
        lines = left.read_text().splitlines() if left.exists() else []
    last = "" if not done.returncode else "\n".join(done.stderr.strip().splitlines()[-3:])
    return [row_of(script.title, json.loads(line)) for line in lines], f"{done.stdout}{last}".strip(), done.returncode


def row_of(script: str, line: Mapping[str, Any]) -> Row:
    """Make the row of one comparison, as `record.leave` wrote it."""
    seconds = dict(line["seconds"])
    ours = seconds.pop(record.OURS)
    peer = min(seconds, key=lambda side: statistics.median(seconds[side]))
    ratios = [theirs / mine for mine, theirs in zip(ours, seconds[peer], strict=True)]
    middle = statistics.median(seconds[peer]) / statistics.median(ours)
    peaks = line["peaks"]
    return Row(
        script,
        line["row"],
        line["what"],
        _spread(ours),
        peer,
        _spread(seconds[peer]),
        (middle, min(ratios), max(ratios)),
        (peaks[record.OURS], peaks[peer]) if peaks else None,
    )


def regressions(found: Sequence[Row], before: Mapping[str, Any], processor: str) -> tuple[dict[str, str], str]:
    """Compare ratios with those of the last page.

    Args:
        found: the rows of this page.
        before: the last page's JSON; empty if there is none.
        processor: this machine's.

    Returns:
        A line for each row whose ratio fell, by its key; and a sentence about what was compared.
    """
    if not before:
        return {}, "There was no page before, so nothing is compared."
    if before["machine"]["processor"] != processor:
        return {}, f"The last page is of another processor ({before['machine']['processor']}): nothing is compared."
    known, fell = before["ratios"], {}
    for row in found:
        if row.key in known:
            last, low, _ = known[row.key]
            if row.ratio[0] < FELL * last and row.ratio[2] < low:
                fell[row.key] = f"ratio {row.ratio[0]:.2f}, last time {last:.2f}"
    count = sum(row.key in known for row in found)
    return fell, f"{count} ratios are compared with the page of {before['machine']['date']}; {len(fell)} fell."


def machine() -> dict[str, Any]:
    """Describe the machine, its load, and the versions."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": versions,
    }


def page(
    about: Mapping[str, Any],
    found: Sequence[Row],
    outputs: Mapping[str, str],
    missing: Mapping[str, str],
    failed: Sequence[str],
    fell: Mapping[str, str],
    compared: str,
) -> str:
    """Return the page in Markdown.

    Args:
        about: of `machine`, when the run began.
        found: all comparisons.
        outputs: what each benchmark printed.
        missing: the reason for each benchmark that was not run.
        failed: the benchmarks that ended with an error, whose output holds its last lines.
        fell: a line for each row whose ratio fell.
        compared: a sentence about that comparison.
    """
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    parts = [
        f"# Benchmarks of {about['date']}",
        f"{about['processor']}, {about['cores']} cores, load {about['load']} at the start; Python {about['python']}, "
        f"{versions}.",
        "Medians with the lowest and highest round in brackets. Ratios are the peer's time divided by ours: above 1 "
        "ours is faster.",
        "\n".join([_HEAD, *map(_line, found)]),
        f"## Against the last page\n\n{compared}\n" + "\n".join(f"- {key}: {text}" for key, text in fell.items()),
        "## Not run\n\n"
        + ("\n".join(f"- {title}: {reason}" for title, reason in missing.items()) or "Everything ran."),
        *([f"## Failed\n\n{', '.join(failed)}"] if failed else []),
        *(f"## {title}\n\n```\n{text}\n```" for title, text in outputs.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _line(row: Row) -> str:
    ours, theirs = (f"{1e3 * m:.4g} ({1e3 * low:.4g} to {1e3 * high:.4g})" for m, low, high in (row.ours, row.theirs))
    ratio = "{:.2f} ({:.2f} to {:.2f})".format(*row.ratio)
    peaks = "" if row.peaks is None else "{:.0f} / {:.0f}".format(*row.peaks)
    return f"| {row.script} | {row.row} | {row.what} | {ours} | {theirs} | {row.peer} | {ratio} | {peaks} |"


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    return statistics.median(values), min(values), max(values)


def _processor() -> str:
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    named = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    kind = [line.split(":")[1].strip() for line in lines if line.startswith(("cpu family", "model\t"))][:2]
    return next(named, platform.processor()) + (f", family {kind[0]}, model {kind[1]}" if len(kind) == 2 else "")


if __name__ == "__main__":
    app.run(main)
