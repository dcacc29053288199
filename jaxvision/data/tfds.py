"""`tfds:NAME`: image classification sets prepared by TensorFlow Datasets, read without TensorFlow.

Preparing a set may need TensorFlow and is done once, with `tfds build`; reading its array_record files does not.
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from jaxvision.data import decode
from jaxvision.data.records import Record, Records, Source, with_val

_SPLITS = {"train": "train", "validation": "val", "val": "val", "test": "test"}


@dataclasses.dataclass(frozen=True)
class TfdsImages:
    """A split of a TFDS set: encoded images, decoded here, with their labels."""

    examples: Sequence[Any]
    source: str

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Record:
        record = self.encoded(index)
        return {**record, "image": record["image"].pixels()}

    def encoded(self, index: int) -> Record:
        example = self.examples[index]
        image = decode.Encoded(bytes(example["image"]), self.name(index))
        return {"image": image, "label": int(example["label"])}

    def name(self, index: int) -> str:
        return f"{self.source}[{index}]"


def load(spec: str) -> Source:
    """`tfds:NAME`, such as tfds:imagenet2012 or tfds:mnist:3.0.1, found in $TFDS_DATA_DIR (~/tensorflow_datasets).

    Raises ValueError, saying what to run, where the set is not prepared as array_record or holds no labelled images.
    """
    name = spec.partition(":")[2]
    builder = _prepared(spec, name)
    features = builder.info.features
    class_names = getattr(features["label"], "names", None) if "label" in features else None
    if "image" not in features or not class_names:
        raise ValueError(f"--data={spec}: needs an image and a class label, but its features are {', '.join(features)}")
    skip_decoding = {"image": _package().decode.SkipDecoding()}
    splits: dict[str, Records] = {
        _SPLITS[split]: TfdsImages(builder.as_data_source(split, decoders=skip_decoding), f"tfds:{name}/{split}")
        for split in builder.info.splits
        if split in _SPLITS
    }
    if "train" not in splits:
        raise ValueError(f"--data={spec}: has no train split, only {', '.join(builder.info.splits)}")
    return Source(with_val(splits), tuple(class_names))


def _prepared(spec: str, name: str) -> Any:
    """The read-only builder of a prepared set: from its files alone, since most builders' code imports TensorFlow."""
    package = _package()
    how = f"prepare it once: pip install tensorflow && tfds build {name} --file_format=array_record"
    try:
        builder = package.core.read_only_builder.builder_from_files(name, data_dir=os.environ.get("TFDS_DATA_DIR"))
    except ValueError:
        raise ValueError(f"--data={spec}: not prepared under $TFDS_DATA_DIR; {how}") from None
    formats = {file_format.value for file_format in builder.info.available_file_formats()}
    if "array_record" not in formats:
        raise ValueError(f"--data={spec}: prepared as {', '.join(sorted(formats))}, not array_record; {how}")
    return builder


def _package() -> Any:
    # Imported where it is used: the other sources need not wait for it.
    import tensorflow_datasets

    return tensorflow_datasets
