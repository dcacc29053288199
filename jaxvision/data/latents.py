"""Latents as a part of records, so that a generator is evaluated on the same latents every time."""

import functools
from typing import Literal

import numpy as np
from jaxtyping import Float32

from jaxvision.data.records import Record
from jaxvision.data.transforms import Transform, compose

Prior = Literal["uniform", "normal"]
"""U(−1, 1) or N(0, 1) in each coordinate."""


def with_latents(transform: Transform, dim: int, prior: Prior = "uniform") -> Transform:
    """Return `transform` with "z" float32 [dim] added to its records.

    Args:
        transform: Applied first.
        dim: The number of coordinates.
        prior: The distribution of each: uniform in (-1, 1), or normal with mean 0 and variance 1.

    Returns:
        A transform; in evaluation data a record's latent depends on its position in the split alone.

    Raises:
        ValueError: `dim` is below 1.
    """
    if dim < 1:
        raise ValueError(f"with_latents: a latent of {dim} numbers; give at least 1")
    return compose(transform, functools.partial(_add_latent, dim=dim, prior=prior))


def draw_latents(rng: np.random.Generator, count: int, *, dim: int, prior: Prior) -> Float32[np.ndarray, "N Z"]:
    """Draw latents.

    Args:
        rng: The random generator.
        count: The number of latents.
        dim: The number of coordinates of each.
        prior: The distribution of each coordinate.
    """
    shape = (count, dim)
    return (rng.uniform(-1.0, 1.0, shape) if prior == "uniform" else rng.standard_normal(shape)).astype(np.float32)


def _add_latent(record: Record, rng: np.random.Generator, *, dim: int, prior: Prior) -> Record:
    return {**record, "z": draw_latents(rng, 1, dim=dim, prior=prior)[0]}
