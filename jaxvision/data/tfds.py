"""`tfds:NAME`: classification and detection sets prepared by TensorFlow Datasets, read without TensorFlow.

Preparing a set may need TensorFlow and is done once, with `tfds build`; reading its array_record files does not.
"""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from jaxvision.data import decode, objects, specs
from jaxvision.data.records import Record, Records, Source, with_val

_FLAGS = {"is_difficult": "difficult", "is_crowd": "crowd"}
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


@dataclasses.dataclass(frozen=True)
class TfdsObjects:
    """A split of a TFDS detection set: encoded images with boxes, labels (from 1; 0 is background), difficult or crowd.

    `one_based`: the set was made from VOC's corners, which count from 1, without converting them.
    """

    examples: Sequence[Any]
    source: str
    one_based: bool

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        example = self.examples[index]
        image = decode.Encoded(bytes(example["image"]), self.name(index))
        found = example["objects"]
        boxes = pixel_boxes(np.asarray(found["bbox"], np.float32), image.width, image.height, one_based=self.one_based)
        flags = {_FLAGS[key]: np.asarray(found[key], np.bool_) for key in _FLAGS if key in found}
        return objects.annotated(image, boxes, np.asarray(found["label"], np.int32) + np.int32(1), flags)

    def name(self, index: int) -> str:
        return f"{self.source}[{index}]"


def pixel_boxes(
    boxes: Float32[np.ndarray, "..."], width: int, height: int, *, one_based: bool
) -> Float32[np.ndarray, "N 4"]:
    """TFDS's (ymin, xmin, ymax, xmax) as fractions of the image to (x0, y0, x1, y1) in pixels; [] is no box.

    To a thousandth of a pixel, which takes back what the division cost: VOC's corners are whole numbers again.
    """
    y0, x0, y1, x1 = boxes.reshape(-1, 4).astype(np.float64).T
    shift = 1 if one_based else 0
    pixels = np.stack([x0 * width - shift, y0 * height - shift, x1 * width, y1 * height], axis=1)
    return np.round(pixels, 3).astype(np.float32)


def load(spec: str) -> Source:
    """`tfds:NAME`, such as tfds:imagenet2012, tfds:mnist:3.0.1 or tfds:voc/2007, found in $TFDS_DATA_DIR.

    The default folder is ~/tensorflow_datasets. Raises ValueError, saying what to run, where the set is not prepared as
    array_record or holds neither labelled images nor labelled boxes.
    """
    name = specs.argument(spec)
    builder = prepared(spec)
    read, class_names = _kind(spec, name, builder.info.features)
    splits: dict[str, Records] = {
        split: read(examples, f"tfds:{name}/{split}") for split, examples in splits_of(builder, ("image",)).items()
    }
    if "train" not in splits:
        raise ValueError(f"--data={spec}: has no train split, only {', '.join(builder.info.splits)}")
    return Source(with_val(splits), class_names)


def splits_of(builder: Any, features: Sequence[str]) -> dict[str, Sequence[Any]]:
    """The known splits of a prepared set; `features` are images, left encoded."""
    skip_decoding = {feature: _package().decode.SkipDecoding() for feature in features}
    return {
        _SPLITS[split]: builder.as_data_source(split, decoders=skip_decoding)
        for split in builder.info.splits
        if split in _SPLITS
    }


def _kind(spec: str, name: str, features: Any) -> tuple[Callable[..., Records], tuple[str, ...]]:
    """What reads the set, and its class names: of the boxes where it has labelled ones, else of the image."""
    boxed = "objects" in features and "bbox" in features["objects"]
    if "image" in features and boxed and (names := _names(features["objects"])):
        return functools.partial(TfdsObjects, one_based=name.startswith("voc")), ("background", *names)
    if "image" in features and (names := _names(features)):
        return TfdsImages, names
    raise ValueError(f"--data={spec}: needs an image and a class label, but its features are {', '.join(features)}")


def _names(features: Any) -> tuple[str, ...]:
    return tuple(getattr(features["label"], "names", None) or ()) if "label" in features else ()


def prepared(spec: str) -> Any:
    """The read-only builder of `tfds:NAME`: from its files alone, since most builders' code imports TensorFlow."""
    package, name = _package(), specs.argument(spec)
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
