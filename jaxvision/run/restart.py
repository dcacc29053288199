"""`--from_stage`: repeat the later stages of a run, and keep the earlier ones."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from jaxvision.data.inputs import ARTEFACTS
from jaxvision.files import atomic_write
from jaxvision.train.writer import read_metrics


def forget(workdir: Path, stages: Sequence[str], first: str) -> None:
    """Remove checkpoints, artefacts and lines of metrics.jsonl of a stage and of all after it.

    The last stage is removed first, each folder at once, so that a run that is stopped meanwhile has no finished stage
    after a removed one.

    Args:
        workdir: the folder of the run.
        stages: the names of all stages, in order.
        first: the first stage to be repeated.

    Raises:
        ValueError: there is no such stage, or the workdir holds no run.
    """
    if first not in stages:
        raise ValueError(f"--from_stage={first}: should be one of {', '.join(stages)}")
    if not (workdir / "checkpoints").exists():
        raise ValueError(f"--from_stage={first}: {workdir} holds no run; leave the flag out")
    for stage in reversed(stages[stages.index(first) :]):
        for folder in (f"checkpoints/{stage}", f"checkpoints/{stage}-best", f"{ARTEFACTS}/{stage}"):
            _remove(workdir / folder)
        _remove_rows(workdir / "metrics.jsonl", stage)


def _remove(folder: Path) -> None:
    gone = folder.with_name("being-removed")  # a folder is renamed at once, and emptied file by file
    shutil.rmtree(gone, ignore_errors=True)
    if folder.exists():
        folder.rename(gone)
        shutil.rmtree(gone)


def _remove_rows(path: Path, stage: str) -> None:
    kept = [row for row in read_metrics(path) if row.get("stage") != stage]
    atomic_write(path, "".join(json.dumps(row) + "\n" for row in kept))
