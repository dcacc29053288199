"""`tfds:NAME`: sets of images, labelled images and boxes prepared by TensorFlow Datasets, read without TensorFlow.

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
from jaxvision.data.records import Record, Records, Source
from jaxvision.data.splits import source_of

_FLAGS = {"is_difficult": "difficult", "is_crowd": "crowd"}
_SPLITS = {"train": "train", "validation": "val", "val": "val", "test": "test"}


@dataclasses.dataclass(frozen=True)
class TfdsImages:
    """Records of one split of a TFDS set of images, with a label each if the set has classes."""

    examples: Sequence[Any]  # with their images encoded
    source: str  # name of set and split, for error messages
    labelled: bool = True  # False if the images have no class label

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Record:
        record = self.encoded(index)
        return {**record, "image": record["image"].pixels()}

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded."""
        example = self.examples[index]
        image = decode.Encoded(bytes(example["image"]), self.name(index))
        return {"image": image, **({"label": int(example["label"])} if self.labelled else {})}

    def name(self, index: int) -> str:
        """Return the set, split and position of a record."""
        return f"{self.source}[{index}]"


@dataclasses.dataclass(frozen=True)
class TfdsObjects:
    """Records of a TFDS detection set: image, boxes, labels (from 1; 0 is background), difficult or crowd."""

    examples: Sequence[Any]  # with their images encoded
    source: str  # name of set and split, for error messages
    one_based: bool  # True if the set has VOC's corners, which count pixels from 1, as they are

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded."""
        example = self.examples[index]
        image = decode.Encoded(bytes(example["image"]), self.name(index))
        annotations = example["objects"]
        boxes = pixel_boxes(
            np.asarray(annotations["bbox"], np.float32), image.width, image.height, one_based=self.one_based
        )
        flags = {_FLAGS[key]: np.asarray(annotations[key], np.bool_) for key in _FLAGS if key in annotations}
        return objects.annotated(image, boxes, np.asarray(annotations["label"], np.int32) + np.int32(1), flags)

    def name(self, index: int) -> str:
        """Return the set, split and position of a record."""
        return f"{self.source}[{index}]"


def pixel_boxes(
    boxes: Float32[np.ndarray, "..."], width: int, height: int, *, one_based: bool
) -> Float32[np.ndarray, "N 4"]:
    """Convert TFDS's boxes to pixels, rounded to a thousandth, so that VOC's corners are whole numbers again.

    Args:
        boxes: (ymin, xmin, ymax, xmax) as fractions of the image, [N, 4]; an array of any shape without elements is no
            box.
        width: Of the image in pixels.
        height: Of the image in pixels.
        one_based: True if corners count pixels from 1 and include the last, as VOC's do.

    Returns:
        (x0, y0, x1, y1) in pixels.
    """
    y0, x0, y1, x1 = boxes.reshape(-1, 4).astype(np.float64).T
    shift = 1 if one_based else 0
    pixels = np.stack([x0 * width - shift, y0 * height - shift, x1 * width, y1 * height], axis=1)
    return np.round(pixels, 3).astype(np.float32)


def load(spec: str) -> Source:
    """Read `tfds:NAME`, such as tfds:imagenet2012, tfds:mnist:3.0.1 or tfds:voc/2007, from $TFDS_DATA_DIR.

    The default folder is ~/tensorflow_datasets. A set without class labels, such as celeb_a, is a source of images
    alone, without classes.

    Raises ValueError where the set is not prepared as array_record (with the command that does it) or has no images.
    """
    name = specs.argument(spec)
    builder = prepared(spec)
    read, class_names = _kind(spec, name, builder.info.features)
    splits: dict[str, Records] = {
        split: read(examples, f"tfds:{name}/{split}") for split, examples in splits_of(builder, ("image",)).items()
    }
    if not splits:
        raise ValueError(
            f"--data={spec}: has no train, validation or test split, only {', '.join(builder.info.splits)}"
        )
    return source_of(splits, class_names, origins={split: f"tfds:{name}/{split}" for split in splits})


def splits_of(builder: Any, features: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Return the splits train, val and test of a prepared set, with the image features `features` left encoded."""
    skip_decoding = {feature: _package().decode.SkipDecoding() for feature in features}
    return {
        _SPLITS[split]: builder.as_data_source(split, decoders=skip_decoding)
        for split in builder.info.splits
        if split in _SPLITS
    }


def _kind(spec: str, name: str, features: Any) -> tuple[Callable[..., Records], tuple[str, ...]]:
    """Return the reader of the records, and the class names of the boxes, if labelled, or else of the images."""
    boxed = "objects" in features and "bbox" in features["objects"]
    if "image" in features and boxed and (names := _names(features["objects"])):
        return functools.partial(TfdsObjects, one_based=name.startswith("voc")), ("background", *names)
    if "image" in features:
        names = _names(features)
        return functools.partial(TfdsImages, labelled=bool(names)), names
    raise ValueError(f"--data={spec}: needs an image, but its features are {', '.join(features)}")


def _names(features: Any) -> tuple[str, ...]:
    return tuple(getattr(features["label"], "names", None) or ()) if "label" in features else ()


def prepared(spec: str) -> Any:
    """Return the read-only builder of `tfds:NAME`, made from its files, since most builders' code imports TensorFlow.

    Raises ValueError where the set is not prepared as array_record.
    """
    package, name = _package(), specs.argument(spec)
    command = f"prepare it once: pip install tensorflow && tfds build {name} --file_format=array_record"
    try:
        builder = package.core.read_only_builder.builder_from_files(name, data_dir=os.environ.get("TFDS_DATA_DIR"))
    except ValueError:
        raise ValueError(f"--data={spec}: not prepared under $TFDS_DATA_DIR; {command}") from None
    formats = {file_format.value for file_format in builder.info.available_file_formats()}
    if "array_record" not in formats:
        raise ValueError(f"--data={spec}: prepared as {', '.join(sorted(formats))}, not array_record; {command}")
    return builder


def _package() -> Any:
    # Imported where it is used: the other sources need not wait for it.
    import tensorflow_datasets

    return tensorflow_datasets
