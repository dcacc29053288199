"""How a network's training images were prepared: its numbers come true for images prepared alike, and for no others."""

from pathlib import Path
from typing import Literal, NamedTuple

Channels = tuple[float, float, float]

IMAGENET_MEAN: Channels = (123.675, 116.28, 103.53)
IMAGENET_STD: Channels = (58.395, 57.12, 57.375)
_LABELS = Path(__file__).parent / "labels"


class Preprocess(NamedTuple):
    """Pixels are resized, cropped and scaled to `range`; then the mean of each channel is taken off, and so on.

    Whatever `order` a file's first layer had, imported kernels take red, green, blue in 0..255.
    """

    order: Literal["RGB", "BGR"] = "RGB"
    range: tuple[int, int] = (0, 1)
    resize: int = 0  # pixels of the shorter side; 0: as the image is
    longest: int = 0  # pixels that the longer side is kept to; 0: any
    crop: int = 0  # pixels of the central square that is seen; 0: all of the image
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    antialias: bool = True


CLASSIFIER = Preprocess(resize=256, crop=224)


def label_names(table: str) -> tuple[str, ...]:
    """Class names in the order of the logits: "imagenet" (1000), "coco" (91: background, and "N/A" for ids that
    COCO never used) or "voc" (21 with background).
    """
    return tuple((_LABELS / f"{table}.txt").read_text().splitlines())
