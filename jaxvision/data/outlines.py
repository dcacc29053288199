"""Instance masks as COCO writes them, polygons and run lengths, turned into pixels or crops only where they are needed.

Polygons are continuous: a pixel, or a crop's cell, is inside where its centre is (even-odd rule; parts are united).
Run lengths are decoded here, in a few lines, so that reading data needs NumPy alone.
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

Points = Float[np.ndarray, "P 2"]
_Index = Int[np.ndarray, "M"]


@dataclasses.dataclass(frozen=True)
class Polygons:
    """The parts of one object, each a closed outline of points (x, y) in pixels."""

    parts: tuple[Points, ...]

    def pixels(self, width: int, height: int) -> Bool[np.ndarray, "H W"]:
        mask: np.ndarray = np.zeros((height, width), np.bool_)
        for part in self.parts:
            mask |= fill(part, width, height)
        return mask

    def crop(self, box: Float[np.ndarray, "4"], size: int, width: int, height: int) -> UInt8[np.ndarray, "M M"]:
        corner, extent = box[:2].astype(np.float64), (box[2:] - box[:2]).astype(np.float64)
        scaled = Polygons(tuple((part - corner[None]) / extent[None] * size for part in self.parts))
        return scaled.pixels(size, size).astype(np.uint8) * np.uint8(255)


@dataclasses.dataclass(frozen=True)
class Runs:
    """Lengths of alternate runs of 0 and 1 down the columns of a mask: a list, or COCO's compressed string."""

    counts: Int[np.ndarray, "R"] | str
    width: int
    height: int

    def pixels(self, width: int, height: int) -> Bool[np.ndarray, "H W"]:
        counts = parse_counts(self.counts) if isinstance(self.counts, str) else self.counts
        if (self.width, self.height) != (width, height) or counts.sum() != width * height or counts.min(initial=0) < 0:
            raise ValueError(f"run lengths of {self.width}x{self.height} do not fill an image of {width}x{height}")
        values = np.arange(len(counts)) % 2 == 1
        return np.repeat(values, counts).reshape(width, height).T

    def crop(self, box: Float[np.ndarray, "4"], size: int, width: int, height: int) -> UInt8[np.ndarray, "M M"]:
        return crop(self.pixels(width, height), box, size)


@dataclasses.dataclass(frozen=True)
class Outlines:
    """The masks of an image's objects, not yet drawn; None is an object that has none and is drawn empty."""

    shapes: tuple[Polygons | Runs | None, ...]
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def known(self) -> Bool[np.ndarray, "N"]:
        """Which objects have a mask."""
        return np.array([shape is not None for shape in self.shapes], np.bool_)

    def select(self, kept: Bool[np.ndarray, "N"]) -> "Outlines":
        shapes = tuple(shape for shape, keep in zip(self.shapes, kept, strict=True) if keep)
        return dataclasses.replace(self, shapes=shapes)

    def pixels(self) -> Bool[np.ndarray, "N H W"]:
        """Every mask in full."""
        masks: np.ndarray = np.zeros((len(self), self.height, self.width), np.bool_)
        for mask, shape in zip(masks, self.shapes, strict=True):
            if shape is not None:
                mask[:] = shape.pixels(self.width, self.height)
        return masks

    def crops(self, boxes: Float[np.ndarray, "N 4"], size: int) -> UInt8[np.ndarray, "N M M"]:
        """Every mask within its box; see `crops`. Polygons are sampled in the box's own cells, at any resolution."""
        out: np.ndarray = np.zeros((len(self), size, size), np.uint8)
        for row, shape, box in zip(out, self.shapes, boxes, strict=True):
            if shape is not None:
                row[:] = shape.crop(box, size, self.width, self.height)
        return out


def crops(
    masks: Bool[np.ndarray, "N H W"] | Outlines, boxes: Float[np.ndarray, "N 4"], size: int
) -> UInt8[np.ndarray, "N M M"]:
    """Masks as `size`×`size` crops of their boxes, sampled bilinearly at the cells' centres: 0 outside, 255 inside.

    They are not thresholded: what resamples them to a RoI divides by 255 and does that at 0.5 (He et al. 2017, 3.1).
    """
    if isinstance(masks, Outlines):
        return masks.crops(boxes, size)
    out: np.ndarray = np.zeros((len(masks), size, size), np.uint8)
    for row, mask, box in zip(out, masks, boxes, strict=True):
        row[:] = crop(mask, box, size)
    return out


def crop(mask: Bool[np.ndarray, "H W"], box: Float[np.ndarray, "4"], size: int) -> UInt8[np.ndarray, "M M"]:
    """The part of a mask in its box; beyond the image its border repeats."""
    x0, y0, x1, y1 = box.tolist()
    rows, next_rows, down = _samples(y0, y1, size, mask.shape[0])
    columns, next_columns, across = _samples(x0, x1, size, mask.shape[1])
    upper, lower = mask[rows].astype(np.float32), mask[next_rows].astype(np.float32)
    lines = upper + down[:, None] * (lower - upper)
    left, right = lines[:, columns], lines[:, next_columns]
    return np.rint(255 * (left + across[None] * (right - left))).astype(np.uint8)


def fill(points: Points, width: int, height: int) -> Bool[np.ndarray, "H W"]:
    """The pixels whose centres lie inside a closed polygon, by the even-odd rule."""
    start, end = points.astype(np.float64), np.roll(points, -1, axis=0).astype(np.float64)
    # An edge crosses the centre lines of rows [first, stop), so that two edges never count one corner twice.
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)
    lengths = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64) - first
    edge = np.repeat(np.arange(len(points)), lengths)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + first[edge]
    share = (row + 0.5 - start[edge, 1]) / (end[edge, 1] - start[edge, 1])
    x = start[edge, 0] + share * (end[edge, 0] - start[edge, 0])
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    crossings = np.bincount(row * (width + 1) + column, minlength=height * (width + 1)).reshape(height, width + 1)
    return (np.cumsum(crossings[:, :width], axis=1) % 2).astype(np.bool_)


def read(segmentation: Any) -> Polygons | Runs | None:
    """What a COCO annotation has under "segmentation"; None where that is no mask. ValueError where it is neither."""
    if not segmentation:
        return None
    if isinstance(segmentation, dict):
        height, width = segmentation["size"]
        counts = segmentation["counts"]
        return Runs(counts if isinstance(counts, str) else np.array(counts, np.int64), int(width), int(height))
    parts = segmentation if isinstance(segmentation[0], list) else [segmentation]
    # Lines and single points, which annotation tools leave behind, enclose nothing.
    arrays = tuple(np.array(part, np.float32).reshape(-1, 2) for part in parts if len(part) >= 6)
    return Polygons(arrays) if arrays else None


def parse_counts(text: str) -> Int[np.ndarray, "R"]:
    """The run lengths in COCO's compressed string.

    Each character holds five bits of a signed number, lowest first, and a sixth that says whether more follow; from the
    fourth run on, the number is the difference from the run before the last.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return np.array(counts, np.int64)


def _samples(low: float, high: float, size: int, length: int) -> tuple[_Index, _Index, Float[np.ndarray, "M"]]:
    """The two pixels beside the centre of each of `size` cells, and the weight of the second."""
    at = low + (high - low) * (np.arange(size) + 0.5) / size - 0.5
    at = np.clip(at, 0, length - 1)
    before = np.floor(at).astype(np.int64)
    return before, np.minimum(before + 1, length - 1), (at - before).astype(np.float32)
