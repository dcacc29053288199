"""The part of `--precision` outside of networks: how exactly float32 values are multiplied.

GPUs and TPUs round the factors of float32 products unless they are told not to. In float32, and in the float32 parts
of a bfloat16 run, such as losses and boxes, they are told not to; tensorfloat32 rounds to 10 bits where the device can.
"""

import contextlib
from contextlib import AbstractContextManager

import jax

from jaxvision.train.types import Say

_PRODUCTS = {"float32": "float32", "bfloat16": "float32", "tensorfloat32": "tensorfloat32"}


def products(precision: str) -> AbstractContextManager[None]:
    """Return a context in which programs are made that multiply float32 values as `--precision` says."""
    return jax.default_matmul_precision(_PRODUCTS[precision])


def products_here(precision: str, say: Say) -> AbstractContextManager[None]:
    """Return `products` on a GPU or a TPU; on a CPU, where nothing is rounded anyway, a context that changes nothing.

    Args:
        precision: the value of `--precision`.
        say: is told where it has no effect.

    Returns:
        The context.
    """
    if jax.default_backend() != "cpu":
        return products(precision)
    if precision == "tensorfloat32":
        say("--precision=tensorfloat32 is float32 on a CPU")
    return contextlib.nullcontext()
