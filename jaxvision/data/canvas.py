"""Transforms of detection, which put images of any size on a few canvases of fixed shape, and objects in padded arrays.

A network compiles once for each canvas shape. The choice of the canvas depends on the image's size alone, so that
batches of one shape are formed before images are decoded (`Canvases.groups`, `order.GroupedByShape`).
"""

import dataclasses
import functools
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int

from jaxvision.channels import Channels
from jaxvision.data import decode, outlines, transforms
from jaxvision.data.decode import Pixels
from jaxvision.data.records import INDEX, NOTE, Record, Records, by_extent, carried
from jaxvision.data.transforms import FromFile, Transform

Shape = tuple[int, int]  # height, width

MASK_SIZE = 56  # twice Mask R-CNN's 28, since a RoI may cover only half of its object

_BLACK: Channels = (0.0, 0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Canvases:
    """The canvases that images are put on, and the size to which they are resized before.

    An image goes on the canvas on which it is largest; of several such, on the smallest, and of these on the first. See
    `canvases` for the usual two.
    """

    short: int  # the shorter side of an image in pixels, unless the longer one would pass `long`
    long: int  # the most pixels of the longer side
    shapes: tuple[Shape, ...]  # (height, width) of each canvas

    def choose(self, width: int, height: int) -> int:
        """Return the number of the canvas for an image of this size in pixels."""
        scales = [self.scale(width, height, number) for number in range(len(self.shapes))]
        return min(range(len(self.shapes)), key=lambda n: (-scales[n], self.shapes[n][0] * self.shapes[n][1], n))

    def scale(self, width: int, height: int, number: int, short: int | None = None) -> float:
        """Return the factor by which to resize an image.

        Args:
            width: Of the image in pixels.
            height: Of the image in pixels.
            number: Of the canvas.
            short: The shorter side to resize to; by default that of the canvases.

        Returns:
            The largest factor at which neither side passes its limit or the canvas.
        """
        down, across = self.shapes[number]
        shorter, longer = min(width, height), max(width, height)
        return min((short or self.short) / shorter, self.long / longer, across / width, down / height)

    def groups(self, records: Records) -> Int[np.ndarray, "N"]:
        """Return the number of each record's canvas; 0 for a record that cannot be read."""
        return by_extent(records, self.choose)

    def train(
        self,
        max_boxes: int,
        *,
        regions: int = 0,
        shorts: tuple[int, ...] = (),
        flip: float = 0.5,
        mask_size: int = 0,
        max_proposals: int = 0,
        fill: Channels = _BLACK,
    ) -> Transform:
        """Return a transform as of `evaluate`, with random mirroring and a random size.

        Args:
            max_boxes: The most objects of an image.
            regions: Further slots, for regions that cover the objects that do not fit, see `place`.
            shorts: Lengths that the shorter side is drawn from, in pixels; (): always `short`.
            flip: The probability of mirroring.
            mask_size: Side of the mask crops; 0: no masks.
            max_proposals: The most proposals of an image; 0: no proposals.
            fill: RGB (0..255) of the canvas around the image.

        Returns:
            A transform from files; see `evaluate` for the records.

        Raises:
            ValueError: A length in `shorts` is larger than `short`.
        """
        if any(short > self.short for short in shorts):
            raise ValueError(f"shorts={shorts}: none may be larger than short={self.short}, which sizes the canvases")
        return transforms.compose(
            FromFile(_resize, canvases=self, shorts=shorts, mask_size=mask_size),
            transforms.horizontal_flip(flip),
            functools.partial(place, max_boxes=max_boxes, regions=regions, max_proposals=max_proposals, fill=fill),
        )

    def evaluate(
        self, max_boxes: int, *, mask_size: int = 0, max_proposals: int = 0, fill: Channels = _BLACK
    ) -> Transform:
        """Return a transform that resizes image and boxes and puts them at the top-left of the canvas.

        Args:
            max_boxes: The most objects of an image; it may have none. Evaluation counts no others, so that it has to be
                the largest number in the split, see `object_counts.slots`.
            mask_size: Side of the mask crops, M; 0: no masks.
            max_proposals: The most proposals of an image, P; 0: no proposals.
            fill: RGB (0..255) of the canvas around the image.

        Returns:
            A transform from files to records with image uint8 [H, W, 3]; size float32 [2] (height, width of the image
            on the canvas); scale float32 [2] (factors of height and width); boxes float32 [max_boxes, 4] in canvas
            pixels; labels int32, valid bool and ignore bool [max_boxes], see `ignored`; area float32 [max_boxes] in
            square pixels of the original image, NaN where the annotations do not state it; image_id int32, the record's
            position in its split; with `mask_size` masks uint8 [max_boxes, M, M], see `outlines.crops`, and outlined
            bool [max_boxes], False for an object without a mask; with `max_proposals` proposals float32 [P, 4] and
            proposal_valid bool [P].
        """
        return transforms.compose(
            FromFile(_resize, canvases=self, shorts=(), mask_size=mask_size),
            functools.partial(place, max_boxes=max_boxes, max_proposals=max_proposals, fill=fill),
        )

    def prepare(self, fill: Channels) -> dict[str, Any]:
        """Return in words for JSON how images are put on the canvases; `fill` is the RGB around them."""
        return {
            "short": self.short,
            "long": self.long,
            "canvases": [list(shape) for shape in self.shapes],
            "fill": [round(value) for value in fill],
        }


def canvases(short: int, long: int, multiple: int = 32) -> Canvases:
    """Return a landscape and a portrait canvas, or only one where both are the same.

    Faster R-CNN: 600, 1000 (Ren et al. 2015, section 3.3); Mask R-CNN: 800, 1333 (He et al. 2017, section 3.1, which
    names the shorter side only).

    Args:
        short: The shorter side of images in pixels.
        long: The most pixels of their longer side.
        multiple: Sides of canvases are rounded up to it.

    Returns:
        The canvases.

    Raises:
        ValueError: Not 0 < short <= long.
    """
    if not 0 < short <= long:
        raise ValueError(f"canvases: needs 0 < short <= long, not {short}, {long}")
    low, high = (-(-side // multiple) * multiple for side in (short, long))
    return Canvases(short, long, ((low, high), (high, low)) if low != high else ((low, low),))


def _resize(
    record: Record, rng: np.random.Generator, *, canvases: Canvases, shorts: tuple[int, ...], mask_size: int
) -> Record:
    """Resize the image with its boxes and proposals, and cut masks to their boxes; other keys are dropped."""
    width, height = decode.extent(record["image"])
    number = canvases.choose(width, height)
    scale = canvases.scale(width, height, number, int(rng.choice(shorts)) if shorts else None)
    down, across = canvases.shapes[number]
    new_height, new_width = max(1, min(down, round(height * scale))), max(1, min(across, round(width * scale)))
    boxes = record.get("boxes", np.zeros((0, 4), np.float32))
    factor = np.array([new_height / height, new_width / width], np.float32)
    resized: Record = {
        **carried(record),
        "image": decode.crop(record["image"], (0, 0, width, height), (new_width, new_height)),
        "boxes": boxes * factor[[1, 0, 1, 0]][None],
        "labels": record.get("labels", np.zeros(0, np.int32)),
        "ignore": ignored(record, len(boxes)),
        "area": areas(record, len(boxes)),
        "scale": factor,
        "canvas": canvases.shapes[number],
    }
    if mask_size:
        resized["masks"] = _crops(record, boxes, mask_size)
        resized["outlined"] = _outlined(record, len(boxes))
    if "proposals" in record:
        resized["proposals"] = record["proposals"] * factor[[1, 0, 1, 0]][None]
    return resized


def place(
    record: Record,
    rng: np.random.Generator,
    *,
    max_boxes: int,
    regions: int = 0,
    max_proposals: int = 0,
    fill: Channels,
) -> Record:
    """Put an image at the top-left of its canvas, and its objects in padded arrays.

    Of more than `max_boxes` objects the largest are kept, and the record gets a note. Boxes around groups of the others
    go into the slots for regions, to be ignored as crowds are, so that no training takes an object for background.

    Args:
        record: A resized image, with "canvas" (height, width), "scale" and objects in its pixels.
        rng: Not used.
        max_boxes: The most objects.
        regions: Slots for regions, behind those of the objects; 0: objects that do not fit are dropped.
        max_proposals: The most proposals; 0: no proposals.
        fill: RGB (0..255) of the canvas around the image.

    Returns:
        The record that `Canvases.evaluate` describes, with max_boxes + regions slots.

    Raises:
        ValueError: Proposals are asked for and the record has none.
    """
    kept, rest = _largest(record["boxes"], max_boxes)
    around = _around_groups(record["boxes"][rest], regions)
    slots = np.concatenate([np.arange(len(kept)), max_boxes + np.arange(len(around))])
    rows = np.concatenate([kept, rest[: len(around)]])
    placed: Record = {
        **carried(record),
        "image": _pad(record["image"], record["canvas"], fill),
        "size": np.array(record["image"].shape[:2], np.float32),
        "scale": record["scale"],
        "image_id": np.int32(record.get(INDEX, -1)),
        "valid": np.isin(np.arange(max_boxes + regions), slots),
    }
    for key in ("boxes", "labels", "ignore", "area", "masks", "outlined"):
        if key in record:
            values = record[key]
            placed[key] = np.zeros((max_boxes + regions, *values.shape[1:]), values.dtype)
            placed[key][slots] = values[rows]
    placed["boxes"][slots[len(kept) :]] = around
    placed["ignore"][slots[len(kept) :]] = True
    if max_proposals:
        placed |= _first_proposals(record, max_proposals)
    if len(rest):
        fate = "are ignored, neither objects nor background" if regions else "are dropped"
        note = (
            f"the {len(rest)} smallest of {len(record['boxes'])} objects {fate}; raise --view.max_objects={max_boxes}"
        )
        placed[NOTE] = "; ".join(filter(None, (record.get(NOTE), note)))
    return placed


def _first_proposals(record: Record, count: int) -> Record:
    if "proposals" not in record:
        raise ValueError("has no proposals; give the records some, see data.proposals")
    proposals: np.ndarray = np.zeros((count, 4), np.float32)
    best = record["proposals"][:count]
    proposals[: len(best)] = best
    return {"proposals": proposals, "proposal_valid": np.arange(count) < len(best)}


def ignored(record: Record, count: int) -> Bool[np.ndarray, "N"]:
    """Return True for the objects that neither losses nor metrics count: crowds and difficult ones; `count` is N."""
    ignore: np.ndarray = np.zeros(count, np.bool_)
    for key in ("crowd", "difficult"):
        if key in record:
            ignore |= record[key]
    return ignore


def areas(record: Record, count: int) -> Float32[np.ndarray, "N"]:
    """Return the annotated areas of a record's objects, NaN where they are not stated; `count` is N."""
    return np.asarray(record.get("area", np.full(count, np.nan)), np.float32)


def _outlined(record: Record, count: int) -> Bool[np.ndarray, "N"]:
    masks = record.get("masks")
    return masks.known if isinstance(masks, outlines.Outlines) else np.ones(count, np.bool_)


def _crops(record: Record, boxes: Float32[np.ndarray, "N 4"], size: int) -> np.ndarray:
    if "masks" in record:
        return outlines.crops(record["masks"], boxes, size)
    if len(boxes):
        raise ValueError("has boxes but no masks; mask experiments need a source with both (scenes, coco:DIR)")
    return np.zeros((0, size, size), np.uint8)


def _largest(boxes: Float32[np.ndarray, "N 4"], count: int) -> tuple[Int[np.ndarray, "K"], Int[np.ndarray, "R"]]:
    """Return the indices of the `count` largest boxes and those of the others, both ascending."""
    order = np.argsort(-((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])), kind="stable")
    return np.sort(order[:count]), np.sort(order[count:])


def _around_groups(boxes: Float32[np.ndarray, "N 4"], count: int) -> Float32[np.ndarray, "G 4"]:
    """Return boxes around at most `count` groups of boxes: the widest group is halved until there are enough."""
    groups = [boxes] if len(boxes) and count else []
    while len(groups) < min(len(boxes), count):
        spreads = [np.ptp((group[:, :2] + group[:, 2:]) / 2, axis=0) for group in groups]
        widest = max(range(len(groups)), key=lambda n: (len(groups[n]) > 1, float(spreads[n].max())))
        group, axis = groups.pop(widest), int(spreads[widest].argmax())
        group = group[np.argsort(group[:, axis] + group[:, axis + 2], kind="stable")]
        groups += [group[: len(group) // 2], group[len(group) // 2 :]]
    around = [np.concatenate([group[:, :2].min(axis=0), group[:, 2:].max(axis=0)]) for group in groups]
    return np.stack(around) if around else np.zeros((0, 4), np.float32)


def _pad(image: Pixels, shape: Shape, fill: Channels) -> Pixels:
    canvas: np.ndarray = np.empty((*shape, 3), np.uint8)
    height, width = image.shape[:2]
    canvas[:height, :width] = image
    canvas[height:] = canvas[:height, width:] = np.rint(fill).astype(np.uint8)
    return canvas
