"""What a workdir says of its run: its settings, its stages, their figures and their pictures."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxvision.train.writer import read_metrics

EVALUATION = "evaluate"
"""The stage of the rows that --mode=evaluate writes."""

_KNOWN_BY = (  # figures that a run is known by: the first that it has come first
    r"(val|probe)/accuracy|val/conditional_accuracy",
    r"val/mask_AP50|val/AP50|val/mean_iou|knn/accuracy|val/pretext_accuracy",
    r"val/(mask_)?AP|val/fid_\w+|val/modes_covered|val/psnr|val/top5|val/pixel_accuracy|proposals/recall50",
)


class Figure(NamedTuple):
    """A metric's last value."""

    name: str
    value: float
    stage: str
    step: int


class Run(NamedTuple):
    """A workdir as it was read."""

    workdir: Path
    about: Mapping[str, Any]  # config.json
    rows: tuple[Mapping[str, Any], ...]  # metrics.jsonl: each has "stage", "step" and "time"
    evaluation: Mapping[str, Any]  # evaluation.json


def read(workdir: Path, about: Mapping[str, Any] | None = None) -> Run:
    """`about` is for a workdir without config.json, such as one where imported weights were evaluated."""
    saved = _json(workdir / "config.json") or about or {}
    rows = tuple(row for row in read_metrics(workdir / "metrics.jsonl") if {"stage", "step", "time"} <= row.keys())
    return Run(workdir, saved, rows, _json(workdir / "evaluation.json"))


def title(run: Run) -> str:
    """The experiment or, where it is not known, the workdir."""
    return run.about.get("experiment", run.workdir.resolve().name)


def stages(run: Run) -> list[str]:
    """Those of the training that wrote something, in their order."""
    return [name for name in dict.fromkeys(row["stage"] for row in run.rows) if name != EVALUATION]


def rows_of(run: Run, stage: str) -> list[Mapping[str, Any]]:
    """In the order in which they were written."""
    return [row for row in run.rows if row["stage"] == stage]


def figures(run: Run, stage: str) -> list[Figure]:
    """A stage's results: every metric but what was seen in training, and times."""
    found = {
        name: Figure(name, value, stage, row["step"])
        for row in rows_of(run, stage)
        for name, value in row.items()
        if "/" in name and not name.startswith(("train/", "time/"))
    }
    return list(found.values())


def key_figures(run: Run) -> list[Figure]:
    """Of the last stage that has figures (of an evaluation, if no stage has), the most telling ones first.

    A comparison, whose figures all say the same of different things, is told by its table: then there are none.
    """
    for stage in (*reversed(stages(run)), EVALUATION):
        if found := figures(run, stage):
            telling = _rank(min(found, key=_rank)) < len(_KNOWN_BY)
            return sorted(found, key=_rank) if telling or not files(run, stage, ".md") else []
    return []


def files(run: Run, stage: str, *suffixes: str) -> dict[str, list[Path]]:
    """By name, the files of these kinds that a stage wrote and that are still its own, the newest last."""
    owner = {file: row["stage"] for row in run.rows for file in row.get("files", {}).values()}
    found: dict[str, dict[Path, None]] = {}
    for row in rows_of(run, stage):
        for name, file in row.get("files", {}).items():
            path = run.workdir / file
            if owner[file] == stage and path.suffix in suffixes and path.exists():
                found.setdefault(name, {})[path] = None
    return {name: list(paths) for name, paths in found.items()}


def state(run: Run) -> str:
    """Whether every stage that began also ended; "" where nothing was trained."""
    begun = [path for path in run.workdir.glob("checkpoints/*") if path.is_dir() and not path.name.endswith("-best")]
    if not begun or not run.rows:
        return ""
    done = all((path / "finished").exists() for path in begun)
    return "finished" if done else f"stopped at step {run.rows[-1]['step']} of {run.rows[-1]['stage']}"


def seconds(run: Run, stage: str) -> float:
    """That a stage took, as its rows say when it has ended; 0 before."""
    return next((row[key] for row in rows_of(run, stage) if (key := f"time/{stage}_seconds") in row), 0.0)


def number(value: float) -> str:
    """Four digits; a whole number as one."""
    return f"{value:.0f}" if value == round(value, 0) and abs(value) < 1e6 else f"{value:.4g}"


def duration(taken: float) -> str:
    """Seconds as a person says them."""
    if taken < 100:
        return f"{taken:.3g} s"
    return f"{taken / 60:.1f} min" if taken < 6000 else f"{taken / 3600:.1f} h"


def _rank(figure: Figure) -> int:
    return next((i for i, name in enumerate(_KNOWN_BY) if re.fullmatch(name, figure.name)), len(_KNOWN_BY))


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}
