"""Picture of what the bins of a region of interest cover, beside where they should be."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from jaxvision.viz.grid import grid
from jaxvision.viz.text import Color

_SIDE = 320  # pixels: the least length of the longer side of a panel
_CELL: Color = (173, 181, 189)
_EXACT: Color = (46, 160, 67)
_COVERED: Color = (230, 57, 70)

Middles = tuple[Float[np.ndarray, " P"], Float[np.ndarray, " Q"]]
"""The middles of the rows and of the columns of bins, in pixels of the image."""


def misaligned(
    image: UInt8[np.ndarray, "H W 3"],
    roi: Float[np.ndarray, "4"],
    exact: Middles,
    found: Mapping[str, tuple[Float[np.ndarray, "4"], Middles]],
    *,
    stride: int,
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw an object once for each operation: grey cells of the map, the RoI green, what is covered red.

    A dot is the middle of a bin, and a line leads from where it should be to where it is.

    Args:
        image: the image on its canvas.
        roi: corners of the object in pixels.
        exact: the middles of the RoI's bins.
        found: by the caption of a panel the box that an operation covers, and the middles of its bins.
        stride: pixels a cell.
    """
    low = np.maximum(np.floor(roi[:2] / stride).astype(int) - 1, 0) * stride
    high = np.minimum((np.ceil(roi[2:] / stride).astype(int) + 1) * stride, image.shape[1::-1])
    cut = image[low[1] : high[1], low[0] : high[0]]
    factor = max(1, -(-_SIDE // max(cut.shape[:2])))
    panels = []
    for box, middles in found.values():
        panel = Image.fromarray(cut.repeat(factor, axis=0).repeat(factor, axis=1))
        draw = ImageDraw.Draw(panel)
        for x in range(low[0], high[0], stride):
            draw.line([((x - low[0]) * factor, 0), ((x - low[0]) * factor, panel.height)], _CELL)
        for y in range(low[1], high[1], stride):
            draw.line([(0, (y - low[1]) * factor), (panel.width, (y - low[1]) * factor)], _CELL)
        for corners, color in ((roi, _EXACT), (box, _COVERED)):
            ends = ((corners.reshape(2, 2) - low[None]) * factor).round().astype(int)
            draw.rectangle([tuple(ends[0].tolist()), tuple(ends[1].tolist())], outline=color, width=2)
        places = (_places(at, low, factor) for at in (exact, middles))
        for wanted, there in zip(*places, strict=True):
            draw.line([wanted, there], _COVERED, width=2)
            for (x, y), color in ((wanted, _EXACT), (there, _COVERED)):
                draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=color)
        panels.append(np.asarray(panel))
    return grid(np.stack(panels), len(panels), list(found))


def _places(middles: Middles, low: np.ndarray, factor: int) -> list[tuple[float, float]]:
    """Return the middle of every bin in pixels of a panel."""
    rows, columns = middles
    return [(float((x - low[0]) * factor), float((y - low[1]) * factor)) for y in rows for x in columns]
