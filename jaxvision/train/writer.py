"""The output of a run for people: a progress bar or lines, metrics.jsonl, pictures, TensorBoard events."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter
from tqdm import tqdm

from jaxvision.files import atomic_write
from jaxvision.train import progress
from jaxvision.train.pace import Pace

METRICS = "metrics.jsonl"
"""The file of a workdir with a line for each time that something was measured."""

_PAGES = (".html", ".json")


Listener = Callable[[str, int, Mapping[str, Any]], None]
"""Is told the stage, the step and the values that were written: floats, uint8 pictures [H, W, 3] and texts by name."""

_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Have a function told of everything that is written from now on, such as one that passes it to another service."""
    _listeners.append(listener)


class Writer:
    """Writes into `workdir`. In processes other than the first (`active=False`) it does nothing."""

    def __init__(self, workdir: str | Path, *, active: bool = True):
        self.workdir, self.active = Path(workdir), active
        self._events = SummaryWriter(str(self.workdir / "tensorboard")) if active else None
        self._bar: tqdm | None = None
        self._pace: Pace | None = None
        (self.workdir / "images").mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def progress(self, stage: str, step: int, steps: int) -> Iterator[None]:
        """Show a stage's progress during the `with`, and remove lines of metrics.jsonl about later steps than `step`.

        Args:
            stage: the stage's name.
            step: the step that it starts or goes on from.
            steps: its number of steps.
        """
        self._rewind(stage, step)
        self._pace = Pace(stage, step, steps)
        try:
            with progress.shown(self.active):
                yield
        finally:
            self._pace = None
            if self._bar is not None:
                self._bar.close()
                self._bar = None
            if self._events is not None:
                self._events.flush()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time of the `with` out of the pace of the stage's steps."""
        began = time.monotonic()
        try:
            yield
        finally:
            if self._pace is not None:
                self._pace.pause(time.monotonic() - began)
            if self._bar is not None:
                self._bar.unpause()

    def say(self, line: str) -> None:
        """Show a line to the person who watches."""
        if self.active:
            tqdm.write(line, file=sys.stderr)

    def write(self, stage: str, step: int, values: Mapping[str, Any]) -> None:
        """Write the values of a step, each where its type belongs.

        Floats go into metrics.jsonl and pictures [H, W, 3] into images/, both also into TensorBoard. Texts, such as
        tables, go into <name>.md and are shown; pages, whose names end in .html or .json, go into a file of that name.
        The line in metrics.jsonl lists these files under "files".

        Args:
            stage: the stage's name.
            step: the number of the step.
            values: floats, uint8 pictures and texts by name.
        """
        if self._events is None:
            return
        pictures = {k: v for k, v in values.items() if isinstance(v, np.ndarray) and v.ndim == 3}
        texts = {k: v for k, v in values.items() if isinstance(v, str)}
        scalars = {k: float(v) for k, v in values.items() if k not in pictures and k not in texts}
        files = {k: f"images/{k.replace('/', '_')}-{step:06d}.png" for k in pictures} | {k: _file(k) for k in texts}
        for name, value in scalars.items():
            self._events.add_scalar(name, value, step)
        for name, picture in pictures.items():
            self._events.add_image(name, picture, step, dataformats="HWC")
            save_picture(self.workdir / files[name], picture)
        for name, text in texts.items():
            self._keep(self.workdir / files[name], text)
        if scalars or files:
            row = {"stage": stage, "step": step, "time": time.time(), **scalars, **({"files": files} if files else {})}
            with open(self.workdir / METRICS, "a") as file:
                file.write(json.dumps(row) + "\n")
        self._show(stage, step, scalars)
        for listener in list(_listeners):
            self._tell(listener, stage, step, values)

    def advance(self) -> None:
        """Count a step of the stage: the first one opens the bar, or writes a line, once its program is compiled."""
        if self._pace is None or not self.active:
            return
        self._pace.advance()
        if self._bar is not None:
            self._bar.update()
        elif progress.terminal():
            done, total = self._pace.done, self._pace.total
            self._bar = progress.bar(total=total, initial=done, desc=self._pace.name, unit="step")
        elif line := self._pace.due_line():
            self.say(line)

    def _tell(self, listener: Listener, stage: str, step: int, values: Mapping[str, Any]) -> None:
        """Tell a listener; one that fails is told nothing more, as it is not worth losing a run."""
        try:
            listener(stage, step, values)
        except Exception as error:
            _listeners.remove(listener)
            self.say(f"no more is told to {listener.__name__}: {type(error).__name__}: {error}")

    def _keep(self, path: Path, text: str) -> None:
        """Write a text into a file of its own and show it, unless it is a page or JSON, which is too long."""
        page = path.suffix in _PAGES
        atomic_write(path, text if page else text + "\n")
        self.say(f"written to {path}" if page else text)

    def _show(self, stage: str, step: int, scalars: Mapping[str, float]) -> None:
        shown = "  ".join(f"{k} {v:.4g}" for k, v in scalars.items() if not k.startswith("time/"))
        if self._bar is not None and "train/loss" in scalars:
            self._bar.set_postfix_str(shown.replace("train/", ""))
        elif shown:
            pace = self._pace.at(step, scalars.get("time/steps_per_second")) if self._pace else ""
            self.say(f"{stage} step {step}{pace}  {shown}")

    def _rewind(self, stage: str, step: int) -> None:
        path = self.workdir / METRICS
        if self.active and path.exists():
            kept = [r for r in read_metrics(path) if r.get("stage") != stage or r["step"] <= step]
            atomic_write(path, "".join(json.dumps(r) + "\n" for r in kept))


def _file(name: str) -> str:
    """Return the file name of a text: a page or JSON has its suffix already, others get .md."""
    flat = name.replace("/", "_")
    return flat if Path(flat).suffix in _PAGES else f"{flat}.md"


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """Read the rows of a metrics.jsonl, [] if there is none yet; a line that is no row is left out."""
    rows: list[dict[str, Any]] = []
    if not Path(path).exists():
        return rows
    for line in Path(path).read_text(errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def save_picture(path: str | Path, picture: np.ndarray) -> Path:
    """Save a uint8 picture [H, W, 3] or label map [H, W] as a PNG, making its folder; return the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path
