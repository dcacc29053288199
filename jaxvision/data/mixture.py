"""`mixture`: points of the plane from a ring of Gaussians, whose plot shows mode collapse.

By default eight means on a circle of radius 2, with standard deviation 0.02 (Metz et al. 2017).
"""

import dataclasses

import numpy as np
from jaxtyping import Float32, Int

from jaxvision.channels import Channels
from jaxvision.data import specs
from jaxvision.data.records import Record, Source, label_names

RADIUS = 2.0
SIGMA = 0.02

DEFAULTS = {"modes": 8, "count": 16384}

# Points are used as they are.
MEAN: Channels = (0.0, 0.0, 0.0)
STD: Channels = (1.0, 1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Points:
    """Records of points: "image" is float32 [2] (x, y), "label" the number of its mode."""

    points: Float32[np.ndarray, "N 2"]  # (x, y)
    labels: Int[np.ndarray, "N"]  # the mode that the point was drawn from

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Record:
        return {"image": self.points[index], "label": int(self.labels[index])}

    def name(self, index: int) -> str:
        """Return the kind of source and the position in it."""
        return f"mixture/{index}"


def load(spec: str) -> Source:
    """Draw `mixture` or `mixture:modes=8,count=1024`: `count` training points and a quarter as many for validation."""
    options = specs.counts(spec, DEFAULTS)
    modes, count = options["modes"], options["count"]
    splits = {"train": points(modes, count, seed=0), "val": points(modes, max(1, count // 4), seed=1)}
    return Source(splits, label_names(modes), MEAN, STD)


def centers(modes: int) -> Float32[np.ndarray, "M 2"]:
    """Return the means of the modes, counter-clockwise from (RADIUS, 0)."""
    angles = 2.0 * np.pi * np.arange(modes) / modes
    return (RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)).astype(np.float32)


def points(modes: int, count: int, *, seed: int) -> Points:
    """Draw points of equally likely modes.

    Args:
        modes: The number of Gaussians on the ring.
        count: The number of points.
        seed: Of the random generator.

    Returns:
        The points, each labelled with its mode.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, modes, count)
    return Points((centers(modes)[labels] + SIGMA * rng.standard_normal((count, 2))).astype(np.float32), labels)
