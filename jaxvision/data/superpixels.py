"""Superpixels, through scikit-image: Felzenszwalb & Huttenlocher (IJCV 2004) and SLIC (Achanta et al. 2012)."""

import numpy as np
from jaxtyping import Float32, Int32
from skimage import segmentation

from jaxvision.data.decode import Pixels

Labels = Int32[np.ndarray, "H W"]


def felzenszwalb(
    pixels: Float32[np.ndarray, "H W _C"], scale: int, *, sigma: float = 0.8, min_size: int = 20
) -> Labels:
    """Compute superpixels by Felzenszwalb and Huttenlocher.

    Neighbouring regions join while the edge between them is no stronger than either one's internal variation plus
    `scale` over its area. Regions below `min_size` then join the neighbour nearest in colour.

    Args:
        pixels: 0..1, in any colour space.
        scale: The paper's k, for colours in 0..255.
        sigma: Of the Gaussian that smooths the image before, in pixels.
        min_size: The least number of pixels of a superpixel.

    Returns:
        The superpixel of each pixel, from 0 without gaps.
    """
    if min(pixels.shape[:2]) < 2:
        return np.zeros(pixels.shape[:2], np.int32)  # scikit-image needs a neighbour on both axes
    labels = segmentation.felzenszwalb(pixels, scale=scale, sigma=sigma, min_size=min_size, channel_axis=-1)
    return labels.astype(np.int32)


def slic(image: Pixels, count: int, *, compactness: float = 10.0) -> Labels:
    """Compute compact superpixels of even size by k-means of colour (Lab) and position.

    Args:
        image: RGB.
        count: Approximate number of superpixels.
        compactness: The weight of position against colour.

    Returns:
        The superpixel of each pixel, from 0.
    """
    labels = segmentation.slic(image, n_segments=count, compactness=compactness, start_label=0, channel_axis=-1)
    return labels.astype(np.int32)
