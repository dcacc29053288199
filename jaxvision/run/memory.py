"""The memory that a traced program needs for its values, as a compiler would arrange them, without compiling.

Operations run in the order of the program. Elementwise ones are computed where they are read; their result is written
to memory only for an operation that must find it there, such as a convolution. What convolutions use inside is not
counted, nor what a compiler gains by another order.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

_VIEWS = {
    *("reshape", "squeeze", "expand_dims", "stop_gradient", "copy", "optimization_barrier", "name"),
}
_REDUCTIONS = {
    *("reduce_sum", "reduce_max", "reduce_min", "reduce_and", "reduce_or", "reduce_prod", "argmax"),
    *("argmin",),
}
_ELEMENTWISE = {
    *("abs", "add", "and", "add_any", "broadcast_in_dim", "ceil", "clamp", "convert_element_type", "cos"),
    *("div", "eq", "erf", "erf_inv", "exp", "exp2", "expm1", "floor", "ge", "gt", "integer_pow", "iota"),
    *("is_finite", "le", "log", "log1p", "logistic", "lt", "max", "min", "mul", "ne", "neg", "nextafter"),
    *("not", "or", "pad", "pow", "population_count", "real_part", "rem", "rev", "round", "rsqrt"),
    *("select_n", "shift_left", "shift_right_arithmetic", "shift_right_logical", "sign", "sin", "slice"),
    *("sqrt", "square", "sub", "tan", "tanh", "transpose", "xor"),
}
_CALLS = {
    *("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat", "remat2"),
    *("checkpoint",),
}


class Step(NamedTuple):
    """One operation of a program without calls."""

    name: str
    inputs: tuple[int, ...]  # numbers of values
    outputs: tuple[int, ...]
    inside: int  # bytes that loops and branches need while they run


def peak_bytes(program: Jaxpr, donated: int = 0) -> int:
    """Return the most bytes of values that a program has made and still needs, without its arguments and constants.

    Args:
        program: the program.
        donated: how many of the first arguments may be written over by as many of the first results, as a training
            step's new state is written over the old one: such a result takes no room, unless the argument is read
            later.
    """
    flat = _Flat(program)
    last, written = _lives(flat)
    over = flat.written_over(donated)
    ending: dict[int, list[int]] = {}
    for value, time in last.items():
        ending.setdefault(time, []).append(value)
    alive = peak = 0
    made: set[int] = set()
    for time, step in enumerate(flat.steps):
        new = [value for value in step.outputs if value in written and value in last]
        # An elementwise operation may read what it writes over.
        read = time if step.name in _ELEMENTWISE else time - 1
        new = [value for value in new if value not in over or last.get(over[value], -1) > read]
        alive += sum(flat.sizes[value] for value in new)
        made.update(new)
        peak = max(peak, alive + step.inside)
        alive -= sum(flat.sizes[value] for value in ending.get(time, ()) if value in made)
    return peak


def inner(equation: JaxprEqn) -> Iterator[Jaxpr]:
    """Yield the programs that an operation runs: of a call, a loop, a branch."""
    for value in equation.params.values():
        for each in value if isinstance(value, tuple | list) else (value,):
            if isinstance(each, ClosedJaxpr):
                yield each.jaxpr
            elif isinstance(each, Jaxpr):
                yield each


def size_of(value: Any) -> int:
    """Return the bytes of a value of a program; 0 for one that is no array."""
    shape, dtype = getattr(value.aval, "shape", None), getattr(value.aval, "dtype", None)
    if shape is None or dtype is None:
        return 0
    return int(np.prod(shape, dtype=np.int64)) * getattr(dtype, "itemsize", 4)


class _Flat:
    """A program with the bodies of its calls in their place; values are numbers."""

    def __init__(self, program: Jaxpr) -> None:
        self.steps: list[Step] = []
        self.sizes: list[int] = []
        names: dict[Var, int] = {}
        for value in (*program.invars, *program.constvars):
            self._bind(names, value)
        self.arguments = [names[value] for value in program.invars]
        self._add(program, names)
        self._outvars = [names.get(value) if isinstance(value, Var) else None for value in program.outvars]
        self.results = [value for value in self._outvars if value is not None]

    def written_over(self, donated: int) -> dict[int, int]:
        """Return for each of the first results that is as large as its argument, the argument of that place."""
        pairs = zip(self._outvars[:donated], self.arguments[:donated], strict=False)
        return {r: a for r, a in pairs if r is not None and r != a and self.sizes[r] == self.sizes[a]}

    def _bind(self, names: dict[Var, int], value: Any) -> int:
        names[value] = len(self.sizes)
        self.sizes.append(size_of(value))
        return names[value]

    def _add(self, program: Jaxpr, names: dict[Var, int]) -> None:
        known: dict[Var, Any] = {}
        for equation in program.eqns:
            read = [names[value] for value in equation.invars if not isinstance(value, Literal)]
            bodies = list(inner(equation))
            if equation.primitive.name in _CALLS and bodies:
                self._call(bodies[0], equation.invars, equation.outvars, names)
                continue
            constant = next((v.val if isinstance(v, Literal) else known.get(v) for v in equation.invars[:1]), None)
            if constant is not None and equation.primitive.name == "convert_element_type":
                known[equation.outvars[0]] = constant
            if constant is not None and equation.primitive.name == "cond":  # a compiler takes the branch itself
                self._call(bodies[int(constant)], equation.invars[1:], equation.outvars, names)
                continue
            inside = max(map(peak_bytes, bodies), default=0)
            outputs = tuple(self._bind(names, value) for value in equation.outvars)
            if equation.primitive.name == "cond":  # a branch makes its results where those of the operation are
                inside = max(inside - sum(self.sizes[value] for value in outputs), 0)
            self.steps.append(Step(equation.primitive.name, tuple(read), outputs, inside))

    def _call(self, body: Jaxpr, arguments: list[Any], results: list[Var], names: dict[Var, int]) -> None:
        local: dict[Var, int] = {}
        for value in body.constvars:
            self._bind(local, value)
        # The body's last arguments are the call's: constants may come before them.
        given = arguments[len(arguments) - len(body.invars) :]
        for parameter, argument in zip(body.invars, given, strict=True):
            if isinstance(argument, Literal):
                self._bind(local, parameter)
            else:
                local[parameter] = names[argument]
        self._add(body, local)
        for outer, result in zip(results, body.outvars, strict=True):
            if isinstance(result, Literal):
                self._bind(names, outer)
            else:
                names[outer] = local[result]


def _lives(flat: _Flat) -> tuple[dict[int, int], set[int]]:
    """Return when each value is read last, and which values are written to memory."""
    end = len(flat.steps)
    last: dict[int, int] = dict.fromkeys(flat.results, end)
    needed = set(flat.results)  # in memory
    written: set[int] = set()
    for time in range(end - 1, -1, -1):
        step = flat.steps[time]
        if not any(value in last for value in step.outputs):
            continue  # nothing reads it: a compiler leaves it out
        read_at, force = time, False
        if step.name in _VIEWS:
            read_at = max(last[value] for value in step.outputs if value in last)
            force = any(value in needed for value in step.outputs)
        elif step.name in _ELEMENTWISE:
            if any(value in needed for value in step.outputs):
                written.update(step.outputs)
            else:
                read_at = max(last[value] for value in step.outputs if value in last)
        else:
            written.update(step.outputs)
            force = step.name not in _REDUCTIONS
        for value in step.inputs:
            last[value] = max(last.get(value, 0), read_at)
            if force:
                needed.add(value)
    return last, written
