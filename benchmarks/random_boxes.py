"""Boxes to measure with."""

import numpy as np


def log_uniform(rng: np.random.Generator, count: int, height: float, width: float) -> np.ndarray:
    """[count, 4], sides of 32 to 512 pixels, log-uniform, clipped to the image."""
    center, side = rng.uniform(0, [width, height], (count, 2)), np.exp(rng.uniform(*np.log([32, 512]), (count, 2)))
    limits = np.array([width, height] * 2)
    return np.concatenate([center - side / 2, center + side / 2], axis=1).clip(0, limits).astype(np.float32)
