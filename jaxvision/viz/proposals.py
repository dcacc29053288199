"""Pictures of region proposals: superpixels, their hierarchy, the best boxes, and coverage curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int, Integer, UInt8

from jaxvision.viz.boxes import SIZE, enlarge, line_width, outline
from jaxvision.viz.detection import NEGATIVE, OBJECT, POSITIVE
from jaxvision.viz.figure import new_figure, pixels_of
from jaxvision.viz.grid import grid
from jaxvision.viz.key import with_key
from jaxvision.viz.text import Color

_TILE = 320  # pixels: the longer side of a picture among others
_BORDER: Color = (255, 255, 255)
_FOUND = 0.5  # IoU


def regions(
    image: UInt8[np.ndarray, "H W 3"], labels: Integer[np.ndarray, "H W"], *, size: int = SIZE
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw every region in its mean colour, with white borders between regions.

    Args:
        image: the image.
        labels: the region of each pixel, from 0.
        size: least length of the longer side of the picture in pixels; a smaller image is enlarged.
    """
    flat, count = labels.ravel(), int(labels.max()) + 1
    pixels = np.maximum(np.bincount(flat, minlength=count), 1)
    means = np.stack([np.bincount(flat, image[..., c].ravel(), count) / pixels for c in range(3)], axis=-1)
    picture, factor = enlarge(np.rint(means).astype(np.uint8)[labels], size)
    large = labels.repeat(factor, axis=0).repeat(factor, axis=1)
    border = np.zeros(large.shape, bool)
    border[:, 1:] |= large[:, 1:] != large[:, :-1]
    border[1:] |= large[1:] != large[:-1]
    picture[border] = _BORDER
    return picture


def depths(
    image: UInt8[np.ndarray, "H W 3"], label_maps: Sequence[Integer[np.ndarray, "H W"]]
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw the image and, at several depths of a hierarchy, its regions, each over their number."""
    tiles = [enlarge(image, _TILE)[0], *(regions(image, labels, size=_TILE) for labels in label_maps)]
    captions = ["the image", *(_count(int(labels.max()) + 1) for labels in label_maps)]
    return grid(np.stack(tiles), 3, captions, size=1)


def best_boxes(
    image: UInt8[np.ndarray, "H W 3"],
    proposals: Float[np.ndarray, "P 4"],
    objects: Float[np.ndarray, "G 4"],
    best: Int[np.ndarray, " G"],
    overlaps: Float[np.ndarray, " G"],
    *,
    size: int = SIZE,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw the objects, and for each one the proposal that overlaps it most.

    Args:
        image: the image.
        proposals: boxes x0, y0, x1, y1 in pixels.
        objects: boxes of the objects.
        best: the row of the best proposal for each object.
        overlaps: the IoU of each object and its best proposal.
        size: least length of the longer side of the picture in pixels; a smaller image is enlarged.
    """
    large, factor = enlarge(image, size)
    width = line_width(large.shape)
    large = outline(large, objects * factor, [OBJECT] * len(objects), width=width + 1)
    shown = np.flatnonzero(overlaps > 0)
    found = overlaps[shown] >= _FOUND
    colors = [POSITIVE if yes else NEGATIVE for yes in found]
    texts = [f"{overlaps[i]:.2f} #{best[i] + 1}" for i in shown]
    large = outline(large, proposals[best[shown]] * factor, colors, texts, width=max(width // 2, 1))
    total = f"{int(found.sum())} of {len(objects)} objects found by {len(proposals)} proposals"
    entries = [(OBJECT, total), (POSITIVE, f"best proposal, IoU ≥ {_FOUND:g}"), (NEGATIVE, f"IoU < {_FOUND:g}")]
    return with_key(large, entries)


def coverage_curves(counts: Sequence[int], curves: Mapping[str, Float[np.ndarray, "N"]]) -> UInt8[np.ndarray, "H W 3"]:
    """Draw metrics between 0 and 1, such as recall, over the number of proposals an image, on a log axis."""
    figure = new_figure(7.2, 4.6, pad=None)
    axes = figure.add_subplot()
    for name, values in curves.items():
        axes.plot(counts, values, marker="o", markersize=4, linewidth=1.8, label=name)
    axes.set_xscale("log")
    axes.set_xticks(list(counts), [str(n) for n in counts])
    axes.minorticks_off()
    axes.set_ylim(0, 1)
    axes.set_xlabel("proposals an image")
    axes.grid(color="#e9ecef")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    return pixels_of(figure)


def _count(regions: int) -> str:
    return "1 region" if regions == 1 else f"{regions} regions"
