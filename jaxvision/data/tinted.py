"""`tinted`: handwritten digits, each class in ink of another hue, for learning colours from shapes.

All inks are equally light, so that a grey copy of an image tells its colours only by the shape of the digit.
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
    """Records of digits: image uint8 RGB [8, 8, 3] in the class's ink on black, and label 0..9."""

    digits: Digits

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> Record:
        record = self.digits[index]
        share = record["image"].astype(np.float32) / 255
        ink = INKS[record["label"]].reshape(1, 1, 3)
        return {"image": np.rint(share * ink).astype(np.uint8), "label": record["label"]}

    def name(self, index: int) -> str:
        """Return the kind of source and the position in it."""
        return f"tinted/{self.digits.ids[index]}"


def load(spec: str) -> Source:
    """Read `tinted` or `tinted:count=64`, with the splits of `digits`."""
    options = specs.counts(spec, {"count": len(digits("train")) + len(digits("val"))})
    splits = {name: Tinted(digits(name, options["count"])) for name in ("train", "val")}
    return Source(splits, label_names(10), MEAN, STD)
