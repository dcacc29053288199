"""Selective Search (Uijlings et al., IJCV 2013): object proposals from grouping superpixels in many ways."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int

from jaxvision.data import color_spaces, decode, grouping, region_features, superpixels
from jaxvision.data.decode import Pixels
from jaxvision.data.grouping import Hierarchy
from jaxvision.data.region_features import Regions
from jaxvision.data.superpixels import Labels

_SIDE_BY_SIDE = 16  # hierarchies that grow at once; more save little time and take more memory


@dataclasses.dataclass(frozen=True)
class Strategy:
    """The choice of an image's hierarchies: one for each colour space, scale of superpixels and set of measures."""

    spaces: tuple[str, ...]  # of `color_spaces.SPACES`
    scales: tuple[int, ...]  # k of Felzenszwalb's superpixels, also the least number of pixels of one
    measures: tuple[str, ...]  # letters of `grouping.MEASURES`
    sigma: float = 0.8  # of the Gaussian before the superpixels, in pixels
    side: int = 0  # pixels to which the longer side of a larger image is reduced; 0: never
    min_side: float = 0.0  # pixels of the reduced image; boxes with a shorter side are dropped


_PAPERS_FAST = Strategy(("hsv", "lab"), (50, 100), ("ctsf", "tsf"))
STRATEGIES: Mapping[str, Strategy] = {
    "fast": Strategy(("hsv", "lab"), (50, 100), ("ctsf", "tsf", "s", "f"), side=400),
    "quality": Strategy(("hsv", "lab", "rgi", "hue", "grey"), (50, 100, 150, 300), ("ctsf", "tsf", "f", "s")),
    "rcnn": dataclasses.replace(_PAPERS_FAST, side=500, min_side=20.0),
}
"""`quality` is that of Uijlings et al. (table 5), 80 hierarchies; `rcnn` is their fast one, 8 hierarchies, as R-CNN ran
it (Girshick et al. 2014, section 2.2). `fast` groups the same superpixels in twice as many ways, which costs little,
and reduces photographs first, which saves more than half of the time.
"""


class Grouped(NamedTuple):
    """A segmentation and one hierarchy of its regions."""

    name: str  # such as "hsv 100 ctsf"
    labels: Labels
    hierarchy: Hierarchy


def hierarchies(image: Pixels, strategy: Strategy) -> Iterator[Grouped]:
    """Yield every hierarchy of the strategy, in the order of its fields."""
    many = len(strategy.measures)
    for _, alike in itertools.groupby(_segmentations(image, strategy), lambda s: s.regions.colors.shape[1]):
        while batch := list(itertools.islice(alike, max(1, _SIDE_BY_SIDE // many))):
            starts = [segmented.regions for segmented in batch for _ in range(many)]
            grown = iter(grouping.group(starts, strategy.measures * len(batch)))
            for segmented in batch:
                for measures in strategy.measures:
                    yield Grouped(f"{segmented.name} {measures}", segmented.labels, next(grown))


def search(image: Pixels, strategy: Strategy, seed: int) -> Float32[np.ndarray, "N 4"]:
    """Return the boxes of all regions of all hierarchies, each once, the most likely objects first.

    In each hierarchy, region i from the top has priority i times a random number from 0 to 1, and low priorities come
    first, which mixes hierarchies and prefers large regions (section 3.3).

    Args:
        image: RGB.
        strategy: The hierarchies to make.
        seed: Of the random numbers.

    Returns:
        (x0, y0, x1, y1) in pixels of `image`.
    """
    small = reduced(image, strategy.side)
    rng = np.random.default_rng(seed)
    boxes, priorities = [], []
    for grouped in hierarchies(small, strategy):
        boxes.append(grouped.hierarchy.boxes[::-1])
        priorities.append(rng.random(len(boxes[-1])) * np.arange(1, len(boxes[-1]) + 1))
    ordered = np.concatenate(boxes)[np.argsort(np.concatenate(priorities), kind="stable")]
    wide = (ordered[:, 2:] - ordered[:, :2]).min(axis=1) >= strategy.min_side
    factor = np.array([image.shape[i] / small.shape[i] for i in (1, 0, 1, 0)], np.float32)
    return ordered[wide][_first_of_each(ordered[wide])] * factor[None]


def reduced(image: Pixels, side: int) -> Pixels:
    """Reduce the longer side of an image to `side` pixels; a smaller image, or any if `side` is 0, stays as it is."""
    height, width = image.shape[:2]
    scale = side / max(height, width) if side else 1.0
    if scale >= 1:
        return image
    return decode.resize(image, (max(1, round(width * scale)), max(1, round(height * scale))))


class _Segmentation(NamedTuple):
    name: str
    labels: Labels
    regions: Regions


def _segmentations(image: Pixels, strategy: Strategy) -> Iterator[_Segmentation]:
    for space in strategy.spaces:
        pixels = color_spaces.convert(image, space)
        bins = region_features.binned(pixels)
        for scale in strategy.scales:
            labels = superpixels.felzenszwalb(pixels, scale, sigma=strategy.sigma, min_size=scale)
            yield _Segmentation(f"{space} {scale}", labels, region_features.describe(labels, bins))


def _first_of_each(boxes: Float32[np.ndarray, "N 4"]) -> Int[np.ndarray, "M"]:
    """Return the rows that equal no earlier row; corners are whole numbers."""
    base = int(boxes.max(initial=0)) + 1
    keys = boxes.astype(np.int64) @ np.array([1, base, base**2, base**3])
    return np.sort(np.unique(keys, return_index=True)[1])
