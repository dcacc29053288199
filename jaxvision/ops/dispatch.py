"""The choice between an op's plain form, made of jax's own operations, and its faster form for CPUs in `ops/cpu`.

An op does not import its CPU form but names it: "pooling.max_pool" is `max_pool` in `ops/cpu/pooling.py`. Inside
`plain_forms()`, or without that folder, every op takes its plain form.
"""

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any

import jax
from jax import lax

CPU_FORMS = "jaxvision.ops.cpu"
_plain = jax.make_user_context(default_value=False)  # part of jit's cache key: nothing traced before is reused

Form = Callable[..., Any]
Settings = tuple[tuple[str, Any], ...]


def plain_forms() -> AbstractContextManager[None]:
    """Return a context in which ops are traced in their plain form on every platform.

    Programs that run elsewhere, or on batches of unknown size, are traced in it; they also compile sooner.
    """
    return _plain(True)


def dispatch(*operands: Any, cpu: str, default: Form, gradients: str | None = None, **settings: Any) -> Any:
    """Return `default(*operands, **settings)`, by its faster form where the program runs on a CPU.

    With `gradients`, only reverse mode can differentiate the result, except in plain form.

    Args:
        *operands: arrays, or trees of them.
        cpu: the CPU form, "module.function" in `ops/cpu`, with the parameters of `default`.
        default: the plain form, for all other platforms.
        gradients: the pullback of the CPU form, "module.function", which takes the operands, the output's cotangent
            and the settings, and returns a cotangent for each operand. Without it jax differentiates either form.
        **settings: what both forms take by keyword; hashable where there are `gradients`.

    Returns:
        What the form returns.
    """
    form = _cpu_form(cpu)
    if form is None:
        return default(*operands, **settings)
    if gradients is None:
        return lax.platform_dependent(*operands, cpu=partial(form, **settings), default=partial(default, **settings))
    return _with_gradients(operands, form, _cpu_form(gradients), default, tuple(settings.items()))


def _cpu_form(name: str) -> Form | None:
    return None if _plain.value else _load(CPU_FORMS, name)


@cache
def _load(package: str, name: str) -> Form | None:
    """Return the function "module.function" of a package, or None where the package has no such module."""
    module, function = name.split(".")
    try:
        return getattr(importlib.import_module(f"{package}.{module}"), function)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(package):
            raise
        return None


# jit, here and below: traced once for all layers of one shape, since Winograd's transforms are some hundred operations.
@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _with_gradients(operands: tuple[Any, ...], form: Form, pullback: Form, default: Form, settings: Settings) -> Any:
    chosen = dict(settings)
    return lax.platform_dependent(*operands, cpu=partial(form, **chosen), default=partial(default, **chosen))


def _forward(operands: tuple[Any, ...], *static: Any) -> tuple[Any, tuple[Any, ...]]:
    return _with_gradients(operands, *static), operands


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _backward(
    form: Form, pullback: Form, default: Form, settings: Settings, operands: tuple[Any, ...], dy: Any
) -> tuple[Any]:
    chosen = dict(settings)

    def plain(*arguments: Any) -> Any:
        *inputs, cotangent = arguments
        return jax.vjp(partial(default, **chosen), *inputs)[1](cotangent)

    return (lax.platform_dependent(*operands, dy, cpu=partial(pullback, **chosen), default=plain),)


_with_gradients.defvjp(_forward, _backward)
