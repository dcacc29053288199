"""RoIs of every kind and random features, for the tests of both ways to pool them."""

import numpy as np

# Inside, whole, partly outside, wholly outside, empty, inverted, one pixel, not finite.
ROIS = [
    [4.0, 8, 90, 60], [0, 0, 144, 112], [-40, -30, 60, 50], [500, 500, 600, 600], [30, 30, 30, 30],
    [80, 60, 20, 30], [17, 17, 18, 18], [100, 90, 190, 170], [np.nan, 0, 50, 50], [0, 0, np.inf, 50],
]  # fmt: skip
SCALE = 1 / 16


def setup(batch=2, height=7, width=9, channels=3):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(batch, height, width, channels)).astype(np.float32)
    return features, np.stack([np.array(ROIS, np.float32)] * batch)
