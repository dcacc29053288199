"""Instance masks as COCO stores them, polygons and run lengths, and their conversion to pixels or to crops of boxes.

A pixel, or a cell of a crop, belongs to a polygon if its centre lies inside (even-odd rule); parts are united.
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

Points = Float[np.ndarray, "P 2"]
_Index = Int[np.ndarray, "M"]

_LARGEST = 2**28  # pixels; larger images are not opened


@dataclasses.dataclass(frozen=True)
class Polygons:
    """A mask whose parts are closed polygons."""

    parts: tuple[Points, ...]  # corners (x, y) in pixels

    def pixels(self, width: int, height: int) -> Bool[np.ndarray, "H W"]:
        """Draw the mask on an image of `width`×`height` pixels."""
        mask: np.ndarray = np.zeros((height, width), np.bool_)
        for part in self.parts:
            mask |= fill(part, width, height)
        return mask

    def bounds(self) -> tuple[float, float, float, float]:
        """Return the smallest box (x0, y0, x1, y1) around all parts."""
        points = np.concatenate(self.parts)
        return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())

    def crop(self, box: Float[np.ndarray, "4"], size: int, width: int, height: int) -> UInt8[np.ndarray, "M M"]:
        """Draw the mask in the cells of its box, at the resolution of the cells.

        Args:
            box: (x0, y0, x1, y1) in pixels.
            size: The number of cells along each side, M.
            width: Of the image in pixels; not used.
            height: Of the image in pixels; not used.

        Returns:
            255 in cells whose centre is inside, 0 elsewhere.
        """
        corner, extent = box[:2].astype(np.float64), (box[2:] - box[:2]).astype(np.float64)
        scaled = Polygons(tuple((part - corner[None]) / extent[None] * size for part in self.parts))
        return scaled.pixels(size, size).astype(np.uint8) * np.uint8(255)


@dataclasses.dataclass(frozen=True)
class Runs:
    """A mask as the lengths of alternate runs of 0 and 1 down its columns, column after column."""

    counts: Int[np.ndarray, "R"] | str  # the lengths, or COCO's compressed string of them
    width: int  # pixels
    height: int  # pixels

    def pixels(self, width: int, height: int) -> Bool[np.ndarray, "H W"]:
        """Draw the mask; ValueError where the runs do not fill an image of `width`×`height` pixels."""
        counts = self.lengths(width, height)
        values = np.arange(len(counts)) % 2 == 1
        return np.repeat(values, counts).reshape(width, height).T

    def lengths(self, width: int, height: int) -> Int[np.ndarray, "R"]:
        """Return the lengths; ValueError where they do not fill an image of `width`×`height` pixels."""
        try:
            counts = parse_counts(self.counts) if isinstance(self.counts, str) else self.counts
        except OverflowError:
            counts = np.array([-1])
        fits = counts.min(initial=0) >= 0 and counts.max(initial=0) <= width * height  # before a sum that overflows
        if not fits or (self.width, self.height) != (width, height) or counts.sum() != width * height:
            raise ValueError(f"run lengths of {self.width}x{self.height} do not fill an image of {width}x{height}")
        return counts

    def bounds(self) -> tuple[float, float, float, float]:
        """Return the smallest box (x0, y0, x1, y1) around all pixels; without area where there are none."""
        rows, columns = np.nonzero(self.pixels(self.width, self.height))
        if not rows.size:
            return 0.0, 0.0, 0.0, 0.0
        return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)

    def crop(self, box: Float[np.ndarray, "4"], size: int, width: int, height: int) -> UInt8[np.ndarray, "M M"]:
        """Sample the mask in the cells of its box; see `crop`.

        Args:
            box: (x0, y0, x1, y1) in pixels.
            size: The number of cells along each side, M.
            width: Of the image in pixels.
            height: Of the image in pixels.

        Returns:
            0 outside to 255 inside.

        Raises:
            ValueError: The runs do not fill the image.
        """
        return crop(self.pixels(width, height), box, size)


@dataclasses.dataclass(frozen=True)
class Outlines:
    """The masks of an image's objects, not drawn yet."""

    shapes: tuple[Polygons | Runs | None, ...]  # None for an object without a mask, which is drawn empty
    width: int  # of the image in pixels
    height: int  # of the image in pixels

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def known(self) -> Bool[np.ndarray, "N"]:
        """True for the objects that have a mask."""
        return np.array([shape is not None for shape in self.shapes], np.bool_)

    def select(self, kept: Bool[np.ndarray, "N"]) -> "Outlines":
        """Return the masks of the objects that `kept` marks."""
        shapes = tuple(shape for shape, keep in zip(self.shapes, kept, strict=True) if keep)
        return dataclasses.replace(self, shapes=shapes)

    def pixels(self) -> Bool[np.ndarray, "N H W"]:
        """Draw every mask on the whole image."""
        masks: np.ndarray = np.zeros((len(self), self.height, self.width), np.bool_)
        for mask, shape in zip(masks, self.shapes, strict=True):
            if shape is not None:
                mask[:] = shape.pixels(self.width, self.height)
        return masks

    def crops(self, boxes: Float[np.ndarray, "N 4"], size: int) -> UInt8[np.ndarray, "N M M"]:
        """Draw every mask in `size`×`size` cells of its box, polygons at the resolution of the cells; see `crops`."""
        out: np.ndarray = np.zeros((len(self), size, size), np.uint8)
        for row, shape, box in zip(out, self.shapes, boxes, strict=True):
            if shape is not None:
                row[:] = shape.crop(box, size, self.width, self.height)
        return out


def drawable(shape: Polygons | Runs | None, width: int, height: int) -> tuple[Polygons | Runs | None, str]:
    """Check that an outline can be drawn on an image of `width`×`height` pixels.

    Args:
        shape: the outline; None: there is none.
        width: of the image in pixels.
        height: of the image in pixels.

    Returns:
        The outline, its run lengths decompressed, or None; and the reason why it cannot be drawn, or "".
    """
    if not isinstance(shape, Runs):
        return shape, ""
    try:
        return dataclasses.replace(shape, counts=shape.lengths(width, height)), ""
    except ValueError as error:
        return None, str(error)


def crops(
    masks: Bool[np.ndarray, "N H W"] | Outlines, boxes: Float[np.ndarray, "N 4"], size: int
) -> UInt8[np.ndarray, "N M M"]:
    """Cut every mask to its box, sampled bilinearly at the centres of the cells (He et al. 2017, section 3.1).

    Crops are not thresholded: whoever resamples them to a RoI divides by 255 and thresholds at 0.5.

    Args:
        masks: Of the objects of one image, drawn or not.
        boxes: (x0, y0, x1, y1) of the objects in pixels.
        size: The number of cells along each side, M.

    Returns:
        0 outside to 255 inside.

    Raises:
        ValueError: Run lengths do not fill the image.
    """
    if isinstance(masks, Outlines):
        return masks.crops(boxes, size)
    out: np.ndarray = np.zeros((len(masks), size, size), np.uint8)
    for row, mask, box in zip(out, masks, boxes, strict=True):
        row[:] = crop(mask, box, size)
    return out


def crop(mask: Bool[np.ndarray, "H W"], box: Float[np.ndarray, "4"], size: int) -> UInt8[np.ndarray, "M M"]:
    """Cut one mask to its box, sampled bilinearly at the centres of the cells; beyond the image its border repeats.

    Args:
        mask: On the whole image.
        box: (x0, y0, x1, y1) in pixels.
        size: The number of cells along each side, M.

    Returns:
        0 outside to 255 inside.
    """
    x0, y0, x1, y1 = box.tolist()
    rows, next_rows, down = _samples(y0, y1, size, mask.shape[0])
    columns, next_columns, across = _samples(x0, x1, size, mask.shape[1])
    upper, lower = mask[rows].astype(np.float32), mask[next_rows].astype(np.float32)
    lines = upper + down[:, None] * (lower - upper)
    left, right = lines[:, columns], lines[:, next_columns]
    return np.rint(255 * (left + across[None] * (right - left))).astype(np.uint8)


def fill(points: Points, width: int, height: int) -> Bool[np.ndarray, "H W"]:
    """Draw a closed polygon by the even-odd rule.

    Args:
        points: The corners (x, y) in pixels.
        width: Of the image in pixels.
        height: Of the image in pixels.

    Returns:
        True for pixels whose centres lie inside.
    """
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


def read_outline(segmentation: Any, size: tuple[int, int]) -> tuple[Polygons | Runs | None, str]:
    """Read what a COCO annotation has under "segmentation".

    Polygons may be one flat list, a list of flat lists, or lists of points; run lengths a list or COCO's compressed
    string. Lines and single points, which annotation tools leave behind, enclose nothing and are no outline.

    Args:
        segmentation: the value from the JSON.
        size: (width, height) of the image; (0, 0) if it is not known yet.

    Returns:
        The outline, or None; and the reason why what is there cannot be used, or "".
    """
    if isinstance(segmentation, list) and len(segmentation) == 1 and isinstance(segmentation[0], dict):
        segmentation = segmentation[0]  # a list of one run length
    if not segmentation:
        return None, ""
    try:
        return (_runs(segmentation, size) if isinstance(segmentation, dict) else _polygons(segmentation)), ""
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        reason = str(error) if isinstance(error, ValueError) else "not polygons or run lengths"
        return None, f"its outline cannot be used: {reason}"


def _polygons(segmentation: Any) -> Polygons | None:
    """Read the parts of an object; a number that is not finite makes it unusable."""
    if not isinstance(segmentation, list):
        raise ValueError("not a list of polygons")
    parts = segmentation if isinstance(segmentation[0], list) else [segmentation]
    if all(isinstance(part, list) and len(part) == 2 and not isinstance(part[0], list) for part in parts):
        parts = [parts]  # one polygon of points
    arrays = tuple(filter(lambda points: len(points) > 2, map(_points, parts)))
    return Polygons(arrays) if arrays else None


def _points(part: Any) -> Points:
    flat = [value for point in part for value in point] if part and isinstance(part[0], list) else part
    if len(flat) % 2:
        raise ValueError(f"{len(flat)} coordinates are no points (x, y)")
    points = np.array(flat, np.float64).reshape(-1, 2)
    if not np.isfinite(points).all() or np.abs(points).max(initial=0) > 1e9:
        raise ValueError("a coordinate is not finite")
    return points.astype(np.float32)


def _runs(segmentation: dict[str, Any], size: tuple[int, int]) -> Runs | None:
    """Read run lengths. None: an empty list, a mask without pixels."""
    height, width = (int(side) for side in segmentation["size"])
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST and width * height <= _LARGEST):
        raise ValueError(f"run lengths of {width}x{height} pixels")
    if 0 not in size and (width, height) != size:
        raise ValueError(f"run lengths of {width}x{height}, of an image of {size[0]}x{size[1]}")
    counts = segmentation["counts"]
    if isinstance(counts, str):
        if not counts.isascii():
            raise ValueError("run lengths in a text that is not COCO's")
        return Runs(counts, width, height) if counts else None
    if len(counts) == 1 and isinstance(counts[0], list):
        counts = counts[0]
    if not counts:
        return None
    if any(int(count) != count or not 0 <= count <= width * height for count in counts):
        raise ValueError(f"run lengths are whole numbers from 0 to {width * height}")
    if sum(int(count) for count in counts) != width * height:
        raise ValueError(f"run lengths that sum up to {sum(counts):g}, of {width}x{height} pixels")
    return Runs(np.array(counts, np.int64), width, height)


def parse_counts(text: str) -> Int[np.ndarray, "R"]:
    """Decode the run lengths in COCO's compressed string.

    Each character holds five bits of a signed number, lowest first, and a sixth bit that is 1 if more follow; from the
    fourth run on, the number is the difference from the run two places before.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if shift > 50:
            raise ValueError("run lengths with a number beyond all images")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if max(map(abs, counts), default=0) > _LARGEST:
        raise ValueError("run lengths with a number beyond all images")
    return np.array(counts, np.int64)


def _samples(low: float, high: float, size: int, length: int) -> tuple[_Index, _Index, Float[np.ndarray, "M"]]:
    """Return the two pixels beside the centre of each of `size` cells, and the weight of the second."""
    at = low + (high - low) * (np.arange(size) + 0.5) / size - 0.5
    at = np.clip(at, 0, length - 1)
    before = np.floor(at).astype(np.int64)
    return before, np.minimum(before + 1, length - 1), (at - before).astype(np.float32)
