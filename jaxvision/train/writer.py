"""The output of a run for people: a progress bar or lines, metrics.jsonl, pictures, TensorBoard events."""

import contextlib
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from jaxvision.files import append, atomic_write, held, sync
from jaxvision.foreign import content
from jaxvision.train import progress
from jaxvision.train.events import Events
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
    """Writes into `workdir`. In processes other than the first (`active=False`) it does nothing.

    Where trainings of several stages share the workdir (`shared=True`), each waits for the others to have written.
    """

    def __init__(self, workdir: str | Path, *, active: bool = True, shared: bool = False):
        self.workdir, self.active, self.shared = Path(workdir), active, shared
        self._events = Events(self.workdir / "tensorboard")
        self._rows: Counter[str] = Counter()  # lines of metrics.jsonl by stage
        self._bar: tqdm | None = None
        self._pace: Pace | None = None
        (self.workdir / "images").mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def progress(self, stage: str, step: int, steps: int, rows: int | None = None) -> Iterator[None]:
        """Show a stage's progress during the `with`, and remove the lines of metrics.jsonl that will be written again.

        Args:
            stage: the stage's name.
            step: the step that it starts or goes on from.
            steps: its number of steps.
            rows: the lines of the stage that stay, the first ones; None: those of steps up to `step`, where a
                checkpoint does not say it, as those of earlier versions.
        """
        self._rewind(stage, step, rows)
        self._pace = Pace(stage, step, steps)
        try:
            with progress.shown(self.active):
                yield
        finally:
            self._pace = None
            if self._bar is not None:
                self._bar.close()
                self._bar = None

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
        if not self.active:
            return
        pictures = {k: v for k, v in values.items() if isinstance(v, np.ndarray) and v.ndim == 3}
        texts = {k: v for k, v in values.items() if isinstance(v, str)}
        scalars = {k: float(v) for k, v in values.items() if k not in pictures and k not in texts}
        files = {k: f"images/{k.replace('/', '_')}-{step:06d}.png" for k in pictures} | {k: _file(k) for k in texts}
        for name, picture in pictures.items():
            save_picture(self.workdir / files[name], picture)
        for name, text in texts.items():
            self._keep(self.workdir / files[name], text)
        if scalars or files:
            row = {"stage": stage, "step": step, "time": time.time(), **scalars, **({"files": files} if files else {})}
            with self._alone():
                append(self.workdir / METRICS, json.dumps(row) + "\n")
            self._rows[stage] += 1
        self._events.add(step, scalars, pictures)
        self._show(stage, step, scalars)
        for listener in list(_listeners):
            self._tell(listener, stage, step, values)

    def saved_rows(self, stage: str) -> int:
        """Put metrics.jsonl on disk, and return how many of its lines are about a stage."""
        if self.active:
            sync(self.workdir / METRICS)
        return self._rows[stage]

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
            name = getattr(listener, "__name__", type(listener).__name__)
            self.say(f"no more is told to {name}: {type(error).__name__}: {error}")

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

    def _alone(self) -> contextlib.AbstractContextManager[Any]:
        """Keep other trainings in the same workdir from writing metrics.jsonl during the `with`."""
        return held(self.workdir / f"{METRICS}.lock", wait=True) if self.shared else contextlib.nullcontext()

    def _rewind(self, stage: str, step: int, rows: int | None) -> None:
        with self._alone():
            self._take_back(stage, step, rows)

    def _take_back(self, stage: str, step: int, rows: int | None) -> None:
        path = self.workdir / METRICS
        found = read_metrics(path) if self.active else []
        own = [row for row in found if row.get("stage") == stage]
        kept = [row for row in own if row.get("step", 0) <= step] if rows is None else own[:rows]
        self._rows[stage] = len(kept)
        if len(kept) < len(own):
            stay = set(map(id, kept))
            lines = (json.dumps(row) for row in found if row.get("stage") != stage or id(row) in stay)
            atomic_write(path, "".join(f"{line}\n" for line in lines))


def _file(name: str) -> str:
    """Return the file name of a text: a page or JSON has its suffix already, others get .md."""
    flat = name.replace("/", "_")
    return flat if Path(flat).suffix in _PAGES else f"{flat}.md"


def read_metrics(path: str | Path) -> list[dict[str, Any]]:
    """Read the rows of a metrics.jsonl, [] if there is none yet; a line that is no row of ours is left out."""
    if not Path(path).exists():
        return []
    lines = content(path).decode(errors="replace").splitlines()
    return [row for row in map(_row, lines) if row is not None]


def _row(line: str) -> dict[str, Any] | None:
    """Return the row that a line holds, None where it was cut short or changed."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    kinds: dict[str, Any] = {"stage": str, "step": int, "files": dict}
    fine = all(isinstance(value, kinds.get(name, int | float)) for name, value in row.items())
    return row if fine and all(isinstance(file, str) for file in row.get("files", {}).values()) else None


def save_picture(path: str | Path, picture: np.ndarray) -> Path:
    """Save a uint8 picture [H, W, 3] or label map [H, W] as a PNG, making its folder; return the path."""
    return save_image(Path(path), Image.fromarray(picture))


def save_image(path: Path, image: Image.Image, **settings: Any) -> Path:
    """Save an image whole or not at all, in the format of the file's ending, making its folder; return the path.

    Args:
        path: the file.
        image: the image.
        **settings: of Pillow's writer, such as `quality`.
    """
    stream = io.BytesIO()
    image.save(stream, Image.registered_extensions()[path.suffix.lower()], **settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, stream.getvalue())
    return path
