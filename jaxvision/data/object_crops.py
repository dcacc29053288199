"""Crops of DeconvNet (Noh et al. 2015, section 4): of single objects, of proposals, and proposals of a test image."""

import numpy as np
from jaxtyping import Bool, Float32, Int
from scipy import ndimage

from jaxvision.channels import Channels
from jaxvision.data import segmentation, transforms
from jaxvision.data.label_maps import UNLABELLED
from jaxvision.data.pixel_weights import components
from jaxvision.data.records import Record, carried
from jaxvision.data.segmentation import LabelMap
from jaxvision.data.transforms import FromFile, Transform

Boxes = Float32[np.ndarray, "N 4"]

CONTEXT = 1.2  # factor of a box's sides, so that an object's surroundings are seen
_LEAST_IOU = 0.5  # of a proposal that is learned from with an object's box


def train(size: int, *, resize: int, proposals: bool, flip: float, fill: Channels) -> Transform:
    """Return a transform to a crop around one object or proposal, its sides enlarged by 1.2.

    Args:
        size: Side of the crop in pixels.
        resize: Side of the square that the enlarged box is stretched to, out of which a random crop is taken.
        proposals: True for a random proposal that overlaps an object by an IoU of at least 0.5, with all labels; False
            for a random object, with all other pixels labelled as background. Objects are connected regions of one
            class. An image without the one gives the other, and one without objects is taken whole.
        flip: The probability of mirroring.
        fill: RGB (0..255) outside the image.

    Returns:
        A transform from files to records with image uint8 [size, size, 3] and label_map uint8 [size, size].

    Raises:
        ValueError: `resize` is smaller than `size`.
    """
    if resize < size:
        raise ValueError(f"object_crops: resize={resize} is smaller than the crop of {size} pixels")
    return transforms.compose(
        FromFile(_crop, size=size, resize=resize, proposals=proposals, fill=fill), transforms.horizontal_flip(flip)
    )


def evaluate(size: tuple[int, int], *, most: int, least: int, fill: Channels) -> Transform:
    """Return the transform of `segmentation.evaluate`, with the best proposals on the canvas.

    Args:
        size: (height, width) of the canvas in pixels.
        most: The number of proposals.
        least: The least side of an enlarged proposal in pixels; smaller ones are left out.
        fill: RGB (0..255) around the image.

    Returns:
        A transform whose records also have proposals float32 [most, 4], enlarged, and proposal_valid bool [most].
    """
    whole = segmentation.evaluate(size, fill=fill)
    return FromFile(_evaluate, whole=whole, most=most, least=least)


def enlarged(boxes: Boxes, factor: float = CONTEXT) -> Boxes:
    """Enlarge boxes (x0, y0, x1, y1) about their centres."""
    center, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.concatenate([center - factor * half, center + factor * half], axis=1).astype(np.float32)


def _crop(
    record: Record, rng: np.random.Generator, *, size: int, resize: int, proposals: bool, fill: Channels
) -> Record:
    labels, box = _chosen(record, rng, proposals)
    left, top, right, bottom = box
    down, across = resize / max(bottom - top, 1.0), resize / max(right - left, 1.0)
    y, x = (int(place) for place in rng.integers(resize - size + 1, size=2))
    scaled = max(1, round(labels.shape[0] * down)), max(1, round(labels.shape[1] * across))
    corner = round(top * down) + y, round(left * across) + x
    image, cut = segmentation.window(record["image"], labels, scaled, corner, (size, size), fill)
    return {**carried(record), "image": image, "label_map": cut}


def _chosen(record: Record, rng: np.random.Generator, proposals: bool) -> tuple[LabelMap, list[float]]:
    """Choose an object or proposal; return the labels to learn, and the enlarged box (x0, y0, x1, y1) in pixels."""
    labels = segmentation.label_map_of(record)
    numbers = components(labels)
    boxes = _boxes_of(numbers)
    near = _near(record["proposals"], boxes) if proposals else boxes[:0]
    if len(near):
        return labels, enlarged(near[rng.integers(len(near))][None])[0].tolist()
    if not len(boxes):
        return labels, [0.0, 0.0, float(labels.shape[1]), float(labels.shape[0])]
    chosen = int(rng.integers(len(boxes)))
    alone = labels if proposals else _alone(labels, numbers == chosen + 1)
    return alone, enlarged(boxes[chosen][None])[0].tolist()


def _boxes_of(numbers: Int[np.ndarray, "H W"]) -> Boxes:
    """Return the boxes of the objects with numbers 1, 2, …, which cover their pixels."""
    found = [place for place in ndimage.find_objects(numbers) if place is not None]
    corners = [(x.start, y.start, x.stop, y.stop) for y, x in found]
    return np.array(corners, np.float32).reshape(-1, 4)


def _alone(labels: LabelMap, inside: Bool[np.ndarray, "H W"]) -> LabelMap:
    """Return the labels with everything but one object as background; what was unlabelled stays so."""
    return np.where(inside | (labels == UNLABELLED), labels, 0).astype(np.uint8)


def _near(proposals: Boxes, boxes: Float32[np.ndarray, "M 4"]) -> Float32[np.ndarray, "K 4"]:
    """Return the proposals that overlap a box by at least half."""
    low = np.maximum(proposals[:, None, :2], boxes[None, :, :2])
    shared = np.prod(np.clip(np.minimum(proposals[:, None, 2:], boxes[None, :, 2:]) - low, 0, None), axis=-1)
    areas = [np.prod(one[:, 2:] - one[:, :2], axis=1) for one in (proposals, boxes)]
    iou = shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
    return proposals[iou.max(axis=1, initial=0.0) >= _LEAST_IOU]


def _evaluate(record: Record, rng: np.random.Generator, *, whole: Transform, most: int, least: int) -> Record:
    if "proposals" not in record:
        raise ValueError("has no proposals; this transform needs records that were searched for them")
    placed = whole(record, rng)
    factor = (placed["size"] / placed["original"])[[1, 0, 1, 0]]
    boxes = enlarged(record["proposals"]) * factor[None]
    boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) >= least][:most]
    padded, valid = np.zeros((most, 4), np.float32), np.arange(most) < len(boxes)
    padded[: len(boxes)] = boxes
    return {**placed, "proposals": padded, "proposal_valid": valid}
