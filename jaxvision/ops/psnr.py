"""The peak signal-to-noise ratio."""

from typing import TypeVar

import jax
import numpy as np

A = TypeVar("A", jax.Array, np.ndarray)


def psnr(mse: A, *, peak: float, least: float = 1e-10) -> A:
    """Return 10·log10(peak² / mse) in decibels, in the precision of `mse`.

    Args:
        mse: mean squared errors, of any shape, as a NumPy or JAX array.
        peak: difference of the largest and the smallest value that a pixel can have.
        least: errors below this one count as this one, so that equal images have a finite ratio.

    Returns:
        An array of the same kind and shape.
    """
    xp = mse.__array_namespace__()
    return 10.0 * xp.log10(peak**2 / xp.maximum(mse, least))
