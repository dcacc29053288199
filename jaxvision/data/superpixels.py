"""Superpixels, through scikit-image: Felzenszwalb & Huttenlocher (IJCV 2004) and SLIC (Achanta et al. 2012)."""

import numpy as np
from jaxtyping import Float32, Int32
from skimage import segmentation

from jaxvision.data.decode import Pixels

Labels = Int32[np.ndarray, "H W"]


def felzenszwalb(
    pixels: Float32[np.ndarray, "H W _C"], scale: int, *, sigma: float = 0.8, min_size: int = 20
) -> Labels:
    """The superpixel of each pixel, numbered from 0 without gaps; `pixels` are 0..1 in any colour space.

    Neighbouring regions join while the edge between them is not above what either varies inside, plus `scale` (the
    paper's k, for colours 0..255) over its area; then those below `min_size` pixels join the nearest in colour.
    """
    if min(pixels.shape[:2]) < 2:
        return np.zeros(pixels.shape[:2], np.int32)  # scikit-image needs a neighbour on both axes
    found = segmentation.felzenszwalb(pixels, scale=scale, sigma=sigma, min_size=min_size, channel_axis=-1)
    return found.astype(np.int32)


def slic(image: Pixels, count: int, *, compactness: float = 10.0) -> Labels:
    """About `count` compact superpixels of even size, numbered from 0: k-means of colour (Lab) and place."""
    found = segmentation.slic(image, n_segments=count, compactness=compactness, start_label=0, channel_axis=-1)
    return found.astype(np.int32)
