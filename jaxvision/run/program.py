"""The operations of a training step, read from its traced program: nothing is compiled, and no device is needed.

Collectives are those that the step asks for by name, as under `--parallel=pmap` and `shard_map`.
"""

import collections
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr, JaxprEqn

from jaxvision.ops.dispatch import plain_forms
from jaxvision.run.memory import inner, peak_bytes, size_of
from jaxvision.train.devices import AXIS
from jaxvision.train.types import Batch, Task, TrainState

_REDUCES = {"psum", "psum2", "psum_invariant", "pmax", "pmin", "reduce_scatter", "psum_scatter"}
_GATHERS = {"all_gather", "all_gather_invariant", "all_gather_reduced", "all_to_all", "ppermute"}
_CALLBACKS = {"pure_callback", "io_callback", "debug_callback", "outside_call"}
_LOOPS = {"while", "scan"}
_PRODUCTS = {"dot_general", "conv_general_dilated"}


class Program(NamedTuple):
    """The step of a task on one of several devices."""

    jaxpr: Jaxpr
    state: TrainState  # shapes
    batch: Mapping[str, jax.ShapeDtypeStruct]  # this device's rows


def trace(task: Task, batch: Batch, devices: int = 1) -> Program:
    """Trace a task's step in the plain form of its operations, which is that of accelerators.

    Args:
        task: the task.
        batch: a global batch, of which only shapes matter.
        devices: devices that share it; its rows divide by their number.

    Returns:
        The program of one device.
    """
    rows = {k: jax.ShapeDtypeStruct((v.shape[0] // devices, *v.shape[1:]), v.dtype) for k, v in batch.items()}
    with plain_forms():
        state = jax.eval_shape(task.init, jax.ShapeDtypeStruct((2,), jnp.uint32), rows)
        step, axes = (task.step, []) if devices == 1 else (partial(task.step, axis_name=AXIS), [(AXIS, devices)])
        return Program(jax.make_jaxpr(step, axis_env=axes)(state, rows).jaxpr, state, rows)


def traced_bytes(program: Program) -> int:
    """Return the bytes of the step's values as traced; the new state is written over the old one."""
    return peak_bytes(program.jaxpr, donated=len(jax.tree.leaves(program.state)))


def equations(program: Jaxpr) -> Iterator[JaxprEqn]:
    """Yield every operation, also those inside of calls, loops and branches."""
    for equation in program.eqns:
        yield equation
        for body in inner(equation):
            yield from equations(body)


def collectives(program: Jaxpr) -> dict[str, int]:
    """Return the bytes that a device hands to each kind of collective in one step, of gathers those that it gets."""
    sent: collections.Counter[str] = collections.Counter()
    for equation in equations(program):
        name = equation.primitive.name
        if name in _REDUCES:
            sent["all_reduce"] += sum(map(size_of, equation.invars))
        elif name in _GATHERS:
            sent[name.removesuffix("_invariant")] += sum(map(size_of, equation.outvars))
    return dict(sent)


def operations(program: Jaxpr) -> dict[str, int]:
    """Count what is slow on a GPU, and the products.

    Returns:
        "sorted", elements that sorts and top_k read; "gathered" and "scattered", bytes of what is read and of what is
        added; "loops" and "callbacks", as they stand in the program; "waits", loops among them whose end the device
        finds out, for which the host waits in each round; "products", multiplications; "float64", values of 64 bits.
    """
    kinds = ("sorted", "gathered", "scattered", "loops", "waits", "callbacks", "products", "float64")
    count = dict.fromkeys(kinds, 0)
    for equation in equations(program):
        name = equation.primitive.name
        if name in ("sort", "top_k", "approx_top_k"):
            count["sorted"] += int(np.prod(_shape(equation.invars[0])))
        elif name == "gather":
            count["gathered"] += size_of(equation.outvars[0])
        elif name.startswith("scatter"):
            count["scattered"] += size_of(equation.invars[2])
        count["loops"] += name in _LOOPS
        count["waits"] += name == "while"
        count["callbacks"] += name in _CALLBACKS
        count["products"] += multiplications(equation) if name in _PRODUCTS else 0
        count["float64"] += any(getattr(v.aval, "dtype", None) in (np.float64, np.int64) for v in equation.outvars)
    return count


def multiplications(equation: JaxprEqn) -> int:
    """Count the multiplications of a product or a convolution."""
    left, right = (_shape(value) for value in equation.invars[:2])
    out = int(np.prod(_shape(equation.outvars[0])))
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return out * int(np.prod([left[axis] for axis in contracted]))
    kernel = equation.params["dimension_numbers"].rhs_spec  # its outputs, inputs and places
    return out * int(np.prod([right[axis] for axis in kernel[1:]]))


def _shape(value: Any) -> tuple[int, ...]:
    return value.aval.shape


def bytes_of(tree: Any) -> int:
    """Return the bytes of all arrays of a tree, or of their shapes."""
    return sum(int(np.prod(leaf.shape, dtype=np.int64)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
