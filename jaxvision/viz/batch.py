"""A picture of a batch as the network gets it, drawn by what the batch holds: objects, label maps, labels or images."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from jaxvision.viz.detection import objects
from jaxvision.viz.grid import GAP, grid
from jaxvision.viz.segmentation import labelled

_WIDTH = 1600  # pixels that a picture should not be wider than
_TILE, _OBJECTS_TILE, _MAP_TILE = 96, 384, 192  # pixels of the longer side, up to which small images are enlarged


def draw(batch: Mapping[str, np.ndarray], class_names: Sequence[str]) -> UInt8[np.ndarray, "H W 3"] | None:
    """Draw the images of a batch with what is known of them; None where the batch holds no images.

    Objects are drawn as boxes with names, and their masks if there are any. A label map lies beside its image, over a
    key of the classes. A label is written below its image.

    Args:
        batch: "image" uint8 [B, H, W, 3], and "boxes", "labels" and "valid", or "label_map", or "label".
        class_names: the names of the classes.
    """
    images = np.asarray(batch.get("image", ()))
    if images.ndim != 4 or images.dtype != np.uint8:
        return None
    if {"boxes", "labels", "valid"} <= batch.keys():
        return objects(images, batch, class_names, columns=_columns(images, _OBJECTS_TILE, 1))
    if "label_map" in batch:
        return labelled(images, batch["label_map"], class_names, columns=_columns(images, _MAP_TILE, 2))
    labels = np.asarray(batch.get("label", ()))
    captions = [_name(int(label), class_names) for label in labels] if labels.shape == images.shape[:1] else None
    return grid(images, _columns(images, _TILE, 1), captions, size=_TILE)


def draw_seen(
    images: UInt8[np.ndarray, "B H W 3"], seen: UInt8[np.ndarray, "B V h w 3"]
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw each image of a batch, followed by the inputs that a step makes of it.

    Args:
        images: the images of a batch; they are resized to the inputs' size.
        seen: V inputs of each image.
    """
    height, width = seen.shape[2:4]
    whole = np.stack([np.asarray(Image.fromarray(image).resize((width, height))) for image in images])
    rows = np.concatenate([whole[:, None], seen], axis=1)
    tiles, each = rows.reshape(-1, height, width, 3), rows.shape[1]
    captions = ["image", *["input"] * (each - 1)] * len(rows)
    return grid(tiles, each * max(_columns(whole, _TILE, each), 1), captions, size=_TILE)


def _columns(images: UInt8[np.ndarray, "B H W 3"], size: int, each: int) -> int:
    """Return how many images fit beside each other, where each takes `each` tiles enlarged to `size` pixels."""
    height, width = images.shape[1:3]
    factor = max(-(-size // max(height, width)), 1)
    most = max((_WIDTH - GAP) // ((width * factor + GAP) * each), 1)
    rows = -(-len(images) // most)
    return -(-len(images) // rows)  # rows of about the same length


def _name(label: int, class_names: Sequence[str]) -> str:
    return class_names[label] if 0 <= label < len(class_names) else str(label)
