"""Weights of classes and of pixels in a segmentation loss."""

import functools
import math

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from scipy import ndimage
from tqdm import tqdm

from jaxvision.data.label_maps import UNLABELLED
from jaxvision.data.records import Record, Records, fetch
from jaxvision.data.transforms import FromFile, Transform

_REACH = 5.0  # standard deviations, beyond which a border's weight is below 4e-6 of the largest


def median_frequency(records: Records, num_classes: int) -> Float32[np.ndarray, " K"]:
    """Compute the weights of classes by median frequency balancing (Eigen & Fergus 2015, section 6.3.2).

    A class's frequency is its pixels divided by all counted pixels of the images that show it; its weight is the median
    of the frequencies divided by its own. A class that no image shows has weight 0.
    """
    pixels, shown = _counted(records, num_classes)
    frequency = np.divide(pixels, shown, out=np.zeros(num_classes), where=shown > 0)
    median = np.median(frequency[frequency > 0]) if frequency.any() else 0.0
    return np.divide(median, frequency, out=np.zeros(num_classes), where=frequency > 0).astype(np.float32)


def balanced(records: Records, num_classes: int) -> Float32[np.ndarray, " K"]:
    """Compute the weights of classes with which each class that there is counts for as much as any other.

    A class's weight is inverse to its number of pixels, and the mean over all counted pixels is 1: w_c of Ronneberger
    et al. 2015, equation 2. A class that no image shows has weight 0.
    """
    pixels, _ = _counted(records, num_classes)
    share = pixels.sum() / max(np.count_nonzero(pixels), 1)
    return np.divide(share, pixels, out=np.zeros(num_classes), where=pixels > 0).astype(np.float32)


def _counted(records: Records, num_classes: int) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Return the pixels of each class, and all counted pixels of the images that show it."""
    pixels, shown = np.zeros(num_classes), np.zeros(num_classes)
    # A bar only where it takes long, and only on a terminal.
    for index in tqdm(range(len(records)), "class frequencies", leave=False, delay=3, disable=None, unit="image"):
        try:
            labels = fetch(records, index, encoded=True)["label_map"]
        except (ValueError, OSError):
            continue  # the pipeline names what cannot be read
        counts = np.bincount(labels[labels != UNLABELLED], minlength=num_classes)
        pixels += counts
        shown += np.where(counts > 0, counts.sum(), 0)
    return pixels, shown


def with_borders(
    transform: Transform,
    weight: float = 10.0,
    sigma: float = 5.0,
    class_weights: Float32[np.ndarray, " K"] | None = None,
) -> Transform:
    """Return `transform` with "weight_map" float32 [H, W] added to its records; see `border_weights`.

    Args:
        transform: Applied first; its records have a "label_map".
        weight: The largest extra weight of a background pixel, w0 in the paper.
        sigma: Of the decay with the distance to the objects, in pixels.
        class_weights: Weight of each class's pixels, to which the extra weight is added; None: 1.

    Returns:
        A transform for which objects are connected regions of one class.
    """
    kind = FromFile if isinstance(transform, FromFile) else functools.partial
    return kind(_with_borders, transform=transform, weight=weight, sigma=sigma, class_weights=class_weights)


def border_weights(
    label_map: UInt8[np.ndarray, "H W"],
    weight: float = 10.0,
    sigma: float = 5.0,
    instances: Int[np.ndarray, "H W"] | None = None,
    class_weights: Float32[np.ndarray, " K"] | None = None,
) -> Float32[np.ndarray, "H W"]:
    """Compute weights that are larger between objects (Ronneberger et al. 2015, equation 2).

    A background pixel has weight w_c + weight · exp(-(d1 + d2)² / 2σ²), where d1 and d2 are the distances in pixels to
    the nearest and second nearest object; objects further than 5 sigma are left out. All other pixels have weight w_c,
    which is that of their class.

    Args:
        label_map: The class of each pixel; 0 is background.
        weight: The largest extra weight, w0 in the paper.
        sigma: σ in pixels.
        instances: The number of the object at each pixel, from 1; by default the `components` of the label map.
        class_weights: w_c of each class; None: 1.

    Returns:
        The weight of each pixel.
    """
    near, second = _two_nearest(components(label_map) if instances is None else instances, _REACH * sigma)
    ridge = weight * np.exp(-((near + second) ** 2) / (2 * sigma**2))
    own: np.ndarray = np.ones(label_map.shape, np.float32)
    if class_weights is not None:
        known = label_map != UNLABELLED
        own[known] = class_weights[label_map[known]]
    return np.where(label_map == 0, own + ridge, own).astype(np.float32)


def components(label_map: UInt8[np.ndarray, "H W"]) -> Int[np.ndarray, "H W"]:
    """Number the objects of a label map from 1: pixels of one class that touch at their sides; 0 elsewhere."""
    numbers: np.ndarray = np.zeros(label_map.shape, np.int32)
    for label in np.unique(label_map[(label_map > 0) & (label_map != UNLABELLED)]):
        parts, _ = ndimage.label(label_map == label)
        numbers = np.where(parts > 0, parts + numbers.max(), numbers)
    return numbers


def _two_nearest(
    instances: Int[np.ndarray, "H W"], reach: float
) -> tuple[Float[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
    """Return the distances to the nearest and second nearest object; those beyond `reach` may be infinite."""
    near, second = (np.full(instances.shape, np.inf, np.float32) for _ in range(2))
    for number, box in enumerate(ndimage.find_objects(instances), 1):
        if box is not None:
            around = tuple(slice(max(0, side.start - math.ceil(reach)), side.stop + math.ceil(reach)) for side in box)
            distance = ndimage.distance_transform_edt(instances[around] != number)
            second[around] = np.minimum(second[around], np.maximum(near[around], distance))
            near[around] = np.minimum(near[around], distance)
    return near, second


def _with_borders(
    record: Record,
    rng: np.random.Generator,
    *,
    transform: Transform,
    weight: float,
    sigma: float,
    class_weights: Float32[np.ndarray, " K"] | None,
) -> Record:
    transformed = transform(record, rng)
    weights = border_weights(transformed["label_map"], weight, sigma, class_weights=class_weights)
    return {**transformed, "weight_map": weights}
