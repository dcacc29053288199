"""Pictures of the filters of a first convolution."""

import math

import numpy as np
from jaxtyping import Float, UInt8

from jaxvision.viz.grid import grid

_MOST_TILES = 4096


def filters(kernel: Float[np.ndarray, "kh kw cin cout"]) -> UInt8[np.ndarray, "H W 3"]:
    """Draw one tile for each filter, in colour if the input has 3 channels; else a grey tile for each input channel.

    Zero is mid grey, and the largest magnitude of each filter is black or white, so that its structure is seen at any
    scale. Magnitudes of two filters cannot be compared.
    """
    cin, cout = kernel.shape[2:]
    if cin != 3 and cin * cout > _MOST_TILES:
        raise ValueError(
            f"filters: {cin} × {cout} tiles are too many for a picture; pass a part, as kernel[..., :16, :16]"
        )
    peak = np.max(np.abs(kernel), axis=(0, 1, 2), keepdims=True)
    scaled = kernel / np.where(peak > 0.0, peak, 1.0)
    tiles = np.round(127.5 + 127.5 * np.transpose(scaled, (3, 0, 1, 2))).astype(np.uint8)  # cout, kh, kw, cin
    if cin == 3:
        return grid(tiles, math.ceil(math.sqrt(cout)), size=56)
    grey = np.moveaxis(tiles, 3, 1).reshape(cout * cin, *kernel.shape[:2], 1)
    return grid(grey, cin if cin > 1 else math.ceil(math.sqrt(cout)), size=56)
