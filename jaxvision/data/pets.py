"""`tfds:oxford_iiit_pet`: the label maps of the Oxford-IIIT Pet data set, as TensorFlow Datasets prepares it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxvision.data import decode, objects, specs, tfds
from jaxvision.data.label_maps import checked
from jaxvision.data.label_png import label_map
from jaxvision.data.records import Record, Records, Source
from jaxvision.data.splits import source_of

_TRIMAP = ("pet", "background", "border")


@dataclasses.dataclass(frozen=True)
class TfdsTrimaps:
    """Records of Oxford-IIIT Pet as TFDS prepares it; classes are pet (0), background (1) and border (2)."""

    examples: Sequence[Any]  # one split of the prepared set
    source: str  # name of set and split, for error messages

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded."""
        example, name = self.examples[index], self.name(index)
        # 1, 2, 3 in the files; what is 0 there, and no class, wraps to 255.
        labels = label_map(bytes(example["segmentation_mask"]), name) - np.uint8(1)
        return checked(decode.Encoded(bytes(example["image"]), name), labels, len(_TRIMAP), (name, name))

    def name(self, index: int) -> str:
        """Return the set, split and position of a record."""
        return f"{self.source}[{index}]"


def load(spec: str) -> Source:
    """Read `tfds:oxford_iiit_pet`, the one set of TFDS whose label maps are known here; 3 classes.

    Raises ValueError for another set, or where it is not prepared (see `tfds.prepared`) or lacks label maps.
    """
    if specs.argument(spec).partition(":")[0] != "oxford_iiit_pet":
        raise ValueError(f"--data={spec}: its label maps are not known; of TFDS, use tfds:oxford_iiit_pet")
    builder, features = tfds.prepared(spec), ("image", "segmentation_mask")
    if missing := [feature for feature in features if feature not in builder.info.features]:
        raise ValueError(f"--data={spec}: has no {missing[0]}, only {', '.join(builder.info.features)}")
    splits: dict[str, Records] = {
        split: TfdsTrimaps(examples, f"{spec}/{split}") for split, examples in tfds.splits_of(builder, features).items()
    }
    return source_of(splits, _TRIMAP, origins={split: f"{spec}/{split}" for split in splits})
