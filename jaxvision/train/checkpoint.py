"""Saved states. A checkpoint holds the state and the data iterator's position, and exists whole or not at all.

Orbax writes into a temporary folder and renames it, so a run that is killed at any instant, also in the middle of
a save, finds its newest complete checkpoint. What it holds beside the state carries a checksum.
"""

import contextlib
import json
import logging
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxvision.foreign import reason
from jaxvision.train.devices import to_host
from jaxvision.train.peers import JointError
from jaxvision.train.steps import path_name
from jaxvision.train.types import PyTree, TrainState

_CHECKSUM = "checksum"


def _is_no_trace(record: logging.LogRecord) -> bool:
    return not (record.exc_info and "orbax" in record.pathname)


# Orbax logs each error of its threads with pages of traces, and then raises it: the line that we make of it is enough.
logging.getLogger("absl").addFilter(_is_no_trace)


def without_closed_loops(report: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Return a `sys.unraisablehook` that leaves out reads and writes that end after the event loop that awaited them.

    An error or a signal in the middle of a save closes orbax's loop, and that error or signal is told; what storage
    still has under way then finds the loop closed, once for each array, and has nobody to tell.
    """

    def hook(dropped: Any) -> None:
        error = dropped.exc_value
        if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
            report(dropped)

    return hook


sys.unraisablehook = without_closed_loops(sys.unraisablehook)


class Checkpoints:
    """The last `keep` checkpoints in a folder."""

    def __init__(self, directory: str | Path, keep: int = 2):
        self.directory = Path(directory).absolute()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        handlers = {"state": ocp.StandardCheckpointHandler(), "extra": ocp.JsonCheckpointHandler()}
        self._manager = ocp.CheckpointManager(self.directory, options=options, item_handlers=handlers)

    def steps(self) -> list[int]:
        """Return the steps at which a complete checkpoint exists, in order."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, state: TrainState, extra: dict[str, Any]) -> None:
        """Save in the background, from a copy of the state.

        A checkpoint of this step that exists already was passed over as unreadable: it is renamed, not deleted.

        Args:
            step: the number of the step, which names the checkpoint.
            state: the state.
            extra: values that JSON can hold, such as the data iterator's state or a score.

        Raises:
            JointError: this checkpoint, or the one before, cannot be written, as on a full disk.
        """
        if step in self.steps():
            old = self.directory / str(step)
            old.rename(self.directory / f"unreadable-{step}")
            self._manager.reload()
        checked = {**extra, _CHECKSUM: _checksum(extra)}
        items = ocp.args.Composite(state=ocp.args.StandardSave(to_host(state)), extra=ocp.args.JsonSave(checked))
        with self._writing():
            self._manager.save(step, args=items)

    def restore(self, like: PyTree) -> tuple[TrainState, dict[str, Any]] | None:
        """Load the newest checkpoint that can be read, in the shapes of `like`; None when there is none at all.

        An unreadable one is passed over with a line in the log. ValueError when none can be read, or when the saved
        arrays do not have the shapes of `like`.
        """
        self.wait()
        steps = self.steps()
        for step in reversed(steps):
            try:
                return self._read(step, like)
            except _ShapeError as error:
                raise ValueError(f"{self.directory / str(step)}: {error}") from None
            except Exception as error:  # orbax raises many kinds for a damaged file
                logging.warning("%s cannot be read (%s)", self.directory / str(step), _first_line(error))
        if steps:
            raise ValueError(f"{self.directory}: no checkpoint can be read; move the folder away to start again")
        return None

    def read_extra(self) -> dict[str, Any]:
        """Read the `extra` of the newest checkpoint that has one that can be read; {} where there is none."""
        items = ocp.args.Composite(extra=ocp.args.JsonRestore())
        self.wait()
        for step in reversed(self.steps()):
            try:
                return _checked(self._manager.restore(step, args=items)["extra"])
            except Exception as error:
                logging.warning("%s cannot be read (%s)", self.directory / str(step), _first_line(error))
        return {}

    def wait(self) -> None:
        """Wait until the last save is on disk. JointError: it cannot be written."""
        with self._writing():
            self._manager.wait_until_finished()

    def check(self) -> None:
        """Raise JointError if a save that is under way in the background has failed."""
        with self._writing():
            self._manager.check_for_errors()

    def close(self) -> None:
        """Wait for the last save and close the folder."""
        self.wait()
        self._manager.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # orbax and its storage raise many kinds
            raise JointError(
                f"{self.directory}: a checkpoint cannot be written ({reason(error)}); the one before is whole: make "
                "room, and the same command goes on from it"
            ) from None

    def _read(self, step: int, like: PyTree) -> tuple[TrainState, dict[str, Any]]:
        abstract = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
        _check_shapes(abstract, self._manager.item_metadata(step)["state"])
        items = ocp.args.Composite(state=ocp.args.StandardRestore(abstract), extra=ocp.args.JsonRestore())
        restored = self._manager.restore(step, args=items)
        return restored["state"], _checked(restored["extra"])


class _ShapeError(ValueError):
    """The checkpoint is of another network."""


def _check_shapes(like: PyTree, saved: PyTree) -> None:
    if saved is None:
        raise ValueError("the list of its arrays is missing")
    expected = {path_name(p): tuple(x.shape) for p, x in jax.tree_util.tree_leaves_with_path(like)}
    stored = {
        path_name(p): tuple(x.shape) for p, x in jax.tree_util.tree_leaves_with_path(saved) if hasattr(x, "shape")
    }
    for name in sorted(expected.keys() | stored.keys(), key=lambda n: (not n.startswith("params/"), n)):
        if expected.get(name) != stored.get(name):
            was, now = stored.get(name, "absent"), expected.get(name, "absent")
            raise _ShapeError(f"{name} is {was} in the checkpoint and {now} in this network")


def _checksum(extra: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(extra, sort_keys=True).encode())


def _checked(extra: dict[str, Any]) -> dict[str, Any]:
    """Return what was saved, without its checksum. ValueError: it is not that; older ones have none."""
    saved = {name: value for name, value in extra.items() if name != _CHECKSUM}
    if extra.get(_CHECKSUM, 0) not in (0, _checksum(saved)):
        raise ValueError("the position in the data was changed since it was saved")
    return saved


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
