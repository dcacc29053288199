"""`tinted`: handwritten digits in ink whose hue is the digit's own, for learning colours from shapes.

The inks are equally light, so that an image without its colours does not tell them, but by what it shows.
"""

import dataclasses

import numpy as np

from jaxvision.channels import Channels
from jaxvision.data import specs
from jaxvision.data.digits import Digits, digits
from jaxvision.data.records import Record, Source, label_names

# sRGB of CIE Lab with L = 65, chroma 36 (the most that all hues have on a screen) and the hue 36° times the digit.
INKS = np.array(
    [
        (218, 133, 159), (217, 137, 121), (196, 149, 97), (159, 162, 95), (115, 171, 119),
        (62, 175, 157), (6, 174, 195), (76, 166, 218), (142, 154, 219), (192, 140, 196),
    ],
    np.float32,
)  # fmt: skip

# Over the training split, 0..255.
MEAN: Channels = (42.4, 47.7, 48.2)
STD: Channels = (61.8, 59.1, 63.0)


@dataclasses.dataclass(frozen=True)
class Tinted:
    """Digits as uint8 RGB images [8, 8, 3] in their inks on black, with their labels 0..9."""

    digits: Digits

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> Record:
        record = self.digits[index]
        share = record["image"].astype(np.float32) / 255
        ink = INKS[record["label"]].reshape(1, 1, 3)
        return {"image": np.rint(share * ink).astype(np.uint8), "label": record["label"]}

    def name(self, index: int) -> str:
        return f"tinted/{self.digits.ids[index]}"


def load(spec: str) -> Source:
    """`tinted` or `tinted:count=64`: the splits of `digits`."""
    options = specs.counts(spec, {"count": len(digits("train")) + len(digits("val"))})
    splits = {name: Tinted(digits(name, options["count"])) for name in ("train", "val")}
    return Source(splits, label_names(10), MEAN, STD)
