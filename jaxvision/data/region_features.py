"""Features of the regions of a segmentation, for Selective Search: extent, colours, texture, neighbours.

Uijlings et al. (2013), section 3.2. `R` regions, `N` pixels, `C` channels, `D` bins of all histograms together.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8
from scipy import ndimage

COLOR_BINS = 25  # of each channel
TEXTURE_BINS = 10  # of each channel and orientation

_STRONGEST = 0.4  # the largest Gaussian derivative, that of a step from 0 to 1


class Binned(NamedTuple):
    """The histogram bins of an image's pixels, which all its segmentations share."""

    colors: UInt8[np.ndarray, "C N"]
    textures: UInt8[np.ndarray, "S N"]  # four directions of every channel; the derivative's sign makes them eight


@dataclasses.dataclass(frozen=True)
class Regions:
    """The regions of one segmentation."""

    sizes: Float32[np.ndarray, "R"]  # pixels
    boxes: Float32[np.ndarray, "R 4"]  # x0, y0, x1, y1, continuous
    colors: Float32[np.ndarray, "R _"]  # histogram with sum 1
    textures: Float32[np.ndarray, "R _"]  # histogram with sum 1
    pairs: Int[np.ndarray, "E 2"]  # neighbours, each pair once, the lower number first


def binned(pixels: Float32[np.ndarray, "H W C"]) -> Binned:
    """Sort `pixels` (0..1) into bins: 25 of each channel, 10 of each sign of its derivatives in four directions."""
    channels = np.moveaxis(pixels, -1, 0)
    colors = np.minimum(channels * COLOR_BINS, COLOR_BINS - 1).astype(np.uint8)
    textures = [_signed_bins(derivative) for channel in channels for derivative in _derivatives(channel)]
    return Binned(colors.reshape(len(channels), -1), np.stack(textures).reshape(len(textures), -1))


def describe(labels: Int32[np.ndarray, "H W"], image: Binned) -> Regions:
    """Compute the features of the regions that `labels` (from 0, without gaps) divide the image into."""
    flat, count = labels.ravel().astype(np.int64), int(labels.max()) + 1
    colors = _histograms(flat, count, image.colors, COLOR_BINS)
    textures = _histograms(flat, count, image.textures, 2 * TEXTURE_BINS)
    return Regions(
        np.bincount(flat, minlength=count).astype(np.float32),
        _boxes(labels, count),
        _to_one(colors),
        _to_one(_by_sign(textures)),
        neighbours(labels),
    )


def neighbours(labels: Int32[np.ndarray, "H W"]) -> Int[np.ndarray, "E 2"]:
    """Return the pairs of labels that touch along a pixel's side, ascending, the lower label first."""
    sides = ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:]))
    count = int(labels.max()) + 1
    keys = []
    for one, other in sides:
        apart = one != other
        a, b = one[apart].astype(np.int64), other[apart].astype(np.int64)
        keys.append(np.minimum(a, b) * count + np.maximum(a, b))
    return np.stack(np.divmod(np.unique(np.concatenate(keys)), count), axis=1)


def _derivatives(channel: Float32[np.ndarray, "H W"]) -> list[Float32[np.ndarray, "H W"]]:
    """Compute Gaussian derivatives (σ = 1) along 0°, 45°, 90° and 135°; opposite directions have the negatives."""
    x, y = (ndimage.gaussian_filter(channel, 1.0, order=order, truncate=3.0) for order in ((0, 1), (1, 0)))
    half = np.float32(np.sqrt(0.5))
    return [x, (x + y) * half, y, (y - x) * half]


def _signed_bins(derivative: Float32[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W"]:
    """Return bins 10 … 19 by strength where the derivative is not negative, 9 … 0 where it is."""
    scaled = derivative * np.float32(TEXTURE_BINS / _STRONGEST) + np.float32(TEXTURE_BINS)
    return np.clip(scaled, 0, 2 * TEXTURE_BINS - 1).astype(np.uint8)


def _by_sign(histograms: Float32[np.ndarray, "R S B"]) -> Float32[np.ndarray, "R S2 B2"]:
    """Split each direction into two orientations; a derivative that points one way has strength 0 in the other."""
    negative, positive = histograms[..., TEXTURE_BINS - 1 :: -1], histograms[..., TEXTURE_BINS:]
    both = np.concatenate([positive, negative], axis=1)
    both[..., 0] += np.concatenate([negative, positive], axis=1).sum(axis=-1)
    return both


def _histograms(
    labels: Int[np.ndarray, "N"], count: int, bins: UInt8[np.ndarray, "K N"], size: int
) -> Float32[np.ndarray, "R K B"]:
    start = labels * size
    counts = [np.bincount(start + row, minlength=count * size).reshape(count, size) for row in bins]
    return np.stack(counts, axis=1).astype(np.float32)


def _to_one(histograms: Float32[np.ndarray, "R K B"]) -> Float32[np.ndarray, "R D"]:
    flat = histograms.reshape(len(histograms), -1)
    return flat / flat.sum(axis=1, keepdims=True)


def _boxes(labels: Int32[np.ndarray, "H W"], count: int) -> Float32[np.ndarray, "R 4"]:
    """Return the tightest box around each label."""
    extents = ndimage.find_objects(labels + 1, count)
    corners = [(x.start, y.start, x.stop, y.stop) for y, x in extents]
    return np.array(corners, np.float32)
