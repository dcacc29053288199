"""The cost of a training step, counted from its traced program by shapes: nothing is compiled, every machine agrees."""

import math
from typing import NamedTuple

import jax

from jaxvision.run.program import bytes_of, operations, trace, traced_bytes
from jaxvision.train.devices import first_batch
from jaxvision.train.types import Stage


class Cost(NamedTuple):
    """What a stage's training step needs on one device."""

    parameters: int
    multiply_adds: float  # of products and convolutions, forwards and backwards, for one row of the batch
    peak_megabytes: float  # state, batch, and the most values of the step that are needed at once


def cost_of(stage: Stage) -> Cost:
    """Count what a step of a training stage needs; a loop's body counts once. The stage needs data."""
    assert stage.data is not None
    batch = first_batch(stage.data)
    program = trace(stage.task, batch)
    rows = len(next(iter(batch.values())))
    held = bytes_of(program.state) + bytes_of(program.batch) + traced_bytes(program)
    return Cost(
        sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(program.state.params)),
        operations(program.jaxpr)["products"] / rows,
        held / 1e6,
    )
