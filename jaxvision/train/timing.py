"""Measuring time on a device: jax returns before the result is computed, so one has to wait for it."""

import time
from collections.abc import Callable
from typing import TypeVar

import jax

Result = TypeVar("Result")


def seconds(run: Callable[..., Result], *arguments: object) -> tuple[float, Result]:
    """Return the seconds until the result of `run(*arguments)` is computed, and the result.

    Call `run` once before, or its compilation is counted.
    """
    began = time.perf_counter()
    result = jax.block_until_ready(run(*arguments))
    return time.perf_counter() - began, result
