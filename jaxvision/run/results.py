"""A run read back from its workdir: its settings, its stages, their figures and their pictures."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxvision.files import read_object
from jaxvision.train.writer import read_metrics

EVALUATION = "evaluate"
"""The stage of the rows that --mode=evaluate writes."""

_KNOWN_BY = (  # the main figures of the experiments, most telling first
    r"(val|probe)/accuracy|val/conditional_accuracy",
    r"val/mask_AP50|val/AP50|val/mean_iou|knn/accuracy|val/pretext_accuracy",
    r"val/(mask_)?AP|val/fid_\w+|val/modes_covered|val/psnr|val/top5|val/pixel_accuracy|proposals/recall50",
)


_FEW_CLASSES = 10  # five guesses are half of them, so that top5 says little


class Figure(NamedTuple):
    """A metric's last value."""

    name: str
    value: float
    stage: str
    step: int


class Run(NamedTuple):
    """The files of a workdir that describe its run."""

    workdir: Path
    about: Mapping[str, Any]  # config.json
    rows: tuple[Mapping[str, Any], ...]  # metrics.jsonl: each has "stage", "step" and "time"
    evaluation: Mapping[str, Any]  # evaluation.json
    data: Mapping[str, Any] = {}  # data.json: counts of the data, and pictures of the first training batches


def read(workdir: Path, about: Mapping[str, Any] | None = None) -> Run:
    """Read a workdir; `about` stands in for a config.json, which is missing where imported weights were evaluated."""
    saved = _json(workdir / "config.json") or about or {}
    rows = tuple(row for row in read_metrics(workdir / "metrics.jsonl") if {"stage", "step", "time"} <= row.keys())
    return Run(workdir, saved, rows, _json(workdir / "evaluation.json"), _json(workdir / "data.json"))


def title(run: Run) -> str:
    """Return the experiment's name or, where it is not known, the workdir's."""
    return run.about.get("experiment", run.workdir.resolve().name)


def stages(run: Run) -> list[str]:
    """Return the names of the training stages that wrote metrics, in the order they ran."""
    return [name for name in dict.fromkeys(row["stage"] for row in run.rows) if name != EVALUATION]


def rows_of(run: Run, stage: str) -> list[Mapping[str, Any]]:
    """Return the rows of metrics.jsonl that belong to a stage, oldest first."""
    return [row for row in run.rows if row["stage"] == stage]


def figures(run: Run, stage: str) -> list[Figure]:
    """Return the last value of each of a stage's metrics, without those of training steps and times."""
    latest = {
        name: Figure(name, value, stage, row["step"])
        for row in rows_of(run, stage)
        for name, value in row.items()
        if "/" in name and not name.startswith(("train/", "time/"))
    }
    return list(latest.values())


def key_figures(run: Run) -> list[Figure]:
    """Return the figures of the last stage that has any, or else of an evaluation, the most telling ones first.

    Returns [] for a comparison stage: its table shows the same metric for each method, so no single figure stands out.
    """
    for stage in (*reversed(stages(run)), EVALUATION):
        if of_stage := figures(run, stage):
            if len(run.about.get("learned", {}).get("class_names", ())) <= _FEW_CLASSES:
                of_stage = [figure for figure in of_stage if not figure.name.endswith("/top5")] or of_stage
            known = _rank(min(of_stage, key=_rank)) < len(_KNOWN_BY)
            return sorted(of_stage, key=_rank) if known or not files(run, stage, ".md") else []
    return []


def files(run: Run, stage: str, *suffixes: str) -> dict[str, list[Path]]:
    """Find the files that a stage wrote and that no later stage has written over.

    Args:
        run: the run.
        stage: the stage's name.
        *suffixes: kinds of files, such as ".png".

    Returns:
        The existing paths by the name of the picture or text, the newest last.
    """
    owner = {file: row["stage"] for row in run.rows for file in row.get("files", {}).values()}
    by_name: dict[str, dict[Path, None]] = {}
    for row in rows_of(run, stage):
        for name, file in row.get("files", {}).items():
            path = run.workdir / file
            if owner[file] == stage and path.suffix in suffixes and path.exists():
                by_name.setdefault(name, {})[path] = None
    return {name: list(paths) for name, paths in by_name.items()}


def state(run: Run) -> str:
    """Return "finished", or the step and stage at which the training stopped; "" where nothing was trained."""
    begun = [path for path in run.workdir.glob("checkpoints/*") if path.is_dir() and not path.name.endswith("-best")]
    if not begun or not run.rows:
        return ""
    if all((path / "finished").exists() for path in begun):
        return "finished"
    last = next((row for row in reversed(run.rows) if row["stage"] != EVALUATION), run.rows[-1])
    return f"stopped at step {last['step']} of {last['stage']}"


def seconds(run: Run, stage: str) -> float:
    """Return the seconds that a finished stage took; 0.0 while it is unfinished."""
    return next((row[key] for row in rows_of(run, stage) if (key := f"time/{stage}_seconds") in row), 0.0)


def number(value: float) -> str:
    """Format a figure with four digits, a whole number without decimals."""
    return f"{value:.0f}" if value == round(value, 0) and abs(value) < 1e6 else f"{value:.4g}"


def _rank(figure: Figure) -> int:
    return next((i for i, name in enumerate(_KNOWN_BY) if re.fullmatch(name, figure.name)), len(_KNOWN_BY))


def _json(path: Path) -> dict[str, Any]:
    return read_object(path) if path.exists() else {}
