"""How long something takes on a device, that hands its work over and returns."""

import time
from collections.abc import Callable
from typing import TypeVar

import jax

Result = TypeVar("Result")


def seconds(run: Callable[..., Result], *arguments: object) -> tuple[float, Result]:
    """Until the result of `run(*arguments)` is there, and the result. Call it once before, or compilation counts."""
    began = time.perf_counter()
    result = jax.block_until_ready(run(*arguments))
    return time.perf_counter() - began, result
