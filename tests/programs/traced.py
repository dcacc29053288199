"""The steps of an experiment's stages as traced programs, by shapes alone, and where their operations come from."""

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jax._src import source_info_util
from jax.extend.core import Jaxpr, JaxprEqn

from jaxvision.data.inputs import Inputs
from jaxvision.run.experiments import load
from jaxvision.run.memory import inner
from jaxvision.run.program import Program, trace
from jaxvision.train.devices import first_batch
from jaxvision.train.types import Stage, Task

ROOT = Path(__file__).parent.parent.parent


class Traced(NamedTuple):
    """A stage and its step."""

    stage: Stage
    program: Program
    config: Any


def steps(name: str, preset: str, *, precision: str = "float32", devices: int = 1) -> Iterator[Traced]:
    """Yield the step of every training stage of an experiment; of stages with one task the first."""
    module = load(name)
    config = module.PRESETS[preset]
    seen: set[Task] = set()
    for stage in module.build(config, Inputs(precision=precision, shapes_only=True)).stages:
        if stage.steps and stage.data is not None and stage.task not in seen:
            seen.add(stage.task)
            batch = first_batch(stage.data)
            rows = len(next(iter(batch.values())))
            yield Traced(stage, trace(stage.task, batch, math.gcd(rows, devices)), config)


def with_places(program: Jaxpr, outer: frozenset[str] = frozenset()) -> Iterator[tuple[JaxprEqn, frozenset[str]]]:
    """Yield every operation with the places, "jaxvision/ops/nms.py:nms", of the functions that led to it."""
    for equation in program.eqns:
        places = outer | _places(equation.source_info.traceback)
        yield equation, places
        for body in inner(equation):
            yield from with_places(body, places)


@cache
def _places(traceback: Any) -> frozenset[str]:
    return frozenset(
        f"{_short(frame.file_name)}:{frame.function_name}" for frame in source_info_util.user_frames(traceback)
    )


@cache
def _short(file: str) -> str:
    """Return a path from the project's root, or from the packages' folder."""
    path = Path(file)
    for above in (ROOT, *(parent for parent in path.parents if parent.name == "site-packages")):
        if path.is_relative_to(above):
            return str(path.relative_to(above))
    return file
