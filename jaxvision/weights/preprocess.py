"""The way a network's training images were prepared, and the names of its classes.

A network repeats its published figures only for images that are prepared as its training images were.
"""

from importlib import resources
from typing import Literal, NamedTuple


class Preprocess(NamedTuple):
    """The steps from an image file to a network's input, before the channels' mean and std (`Imported`).

    Imported kernels take red, green, blue in 0..255 whatever `order` and `range` were: they are converted on import.
    """

    order: Literal["RGB", "BGR"] = "RGB"  # of the channels that the file's own first layer takes
    range: tuple[int, int] = (0, 1)  # that pixels were scaled to for that layer
    resize: int = 0  # pixels of the shorter side; 0: as the image is
    longest: int = 0  # the most pixels of the longer side; 0: any
    crop: int = 0  # side of the central square, in pixels; 0: the whole image
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"  # with which the image is resized
    antialias: bool = True  # whether the resize averages over the pixels that it merges


CLASSIFIER = Preprocess(resize=256, crop=224)


def label_names(table: str) -> tuple[str, ...]:
    """Return class names in the order of the logits.

    `table` is "imagenet" (1000 names), "coco" (91: background, and "N/A" for ids that COCO never used) or "voc" (21
    with background).
    """
    return tuple((resources.files("jaxvision.weights") / "labels" / f"{table}.txt").read_text("utf-8").splitlines())
