"""Compiled functions that say when they are being compiled, and how long that took the last time."""

import json
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from jaxvision.files import atomic_write
from jaxvision.train import progress

Result = TypeVar("Result")

_MOST = 500  # programs whose seconds are remembered
_WORTH = 1.0  # seconds from which a compilation is worth remembering


def announced(run: Callable[[Any, Any], Result], what: str) -> Callable[[Any, Any], Result]:
    """Return `run`, which compiles itself for each new set of shapes, so that it says so while it does.

    The call that compiles returns when its result is computed, so that its time is not taken for that of later calls.

    Args:
        run: a function of a state and a batch.
        what: what is said, such as "compiling the step".
    """
    seen: set[str] = set()

    def call(state: Any, batch: Any) -> Result:
        shapes = str([(name, np.shape(value)) for name, value in batch.items()])
        if shapes in seen:
            return run(state, batch)
        seen.add(shapes)
        key = _key(what, state, shapes)
        began = time.monotonic()
        with progress.busy(what, seconds().get(key)):
            result = jax.block_until_ready(run(state, batch))
        remember(key, time.monotonic() - began)
        return result

    return call


def seconds() -> dict[str, float]:
    """Return the seconds that programs took to compile and to run once, the last time, by their keys."""
    try:
        found = json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): float(v) for k, v in found.items()} if isinstance(found, dict) else {}


def remember(key: str, took: float) -> None:
    """Keep the seconds of a program beside the compilation cache; a folder that cannot be written to is no error."""
    known = seconds()
    if took < _WORTH and key not in known:
        return
    kept = {**{k: v for k, v in known.items() if k != key}, key: round(took, 1)}
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        atomic_write(_file(), json.dumps(dict(list(kept.items())[-_MOST:])))
    except OSError:
        return


def _key(what: str, state: Any, shapes: str) -> str:
    """Return a name for the program by what it is given: its parameters, its batch and the devices."""
    arrays = [(jax.tree_util.keystr(path), np.shape(leaf)) for path, leaf in jax.tree_util.tree_leaves_with_path(state)]
    device = f"{len(jax.devices())} {jax.devices()[0].device_kind}"
    return f"{what} {zlib.crc32(f'{arrays}{shapes}{device}'.encode()):08x}"


def _file() -> Path:
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR") or Path.home() / ".cache" / "jaxvision" / "xla"
    return Path(folder) / "jaxvision-seconds.json"
