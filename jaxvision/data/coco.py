"""`coco:DIR`: data annotated in COCO's JSON: boxes, crowds, and instance masks as polygons or run lengths."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from absl import logging
from jaxtyping import Bool, Float32, Int32

from jaxvision.data import decode, objects, outlines, specs
from jaxvision.data.outlines import Outlines
from jaxvision.data.records import Record, Records, Source, with_val

# The ids that COCO's categories have. Of 1 … 91, eleven were never annotated.
_MISSING = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91})
_IDS = tuple(number for number in range(1, 92) if number not in _MISSING)
COCO_NAMES = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant"),
    *("bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard"),
    *("sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle"),
    *("wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli"),
    *("carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet"),
    *("tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink"),
    *("refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
)
COCO_ID_OF_LABEL: Mapping[int, int] = dict(enumerate(_IDS, 1))  # our 1 … 80 to COCO's 1 … 90
COCO_LABEL_OF_ID: Mapping[int, int] = {number: label for label, number in COCO_ID_OF_LABEL.items()}

_SPLITS = ("train", "val", "test")
_LAYOUT = (
    "expected DIR/annotations/instances_train2017.json and DIR/train2017/, or one JSON file in DIR and DIR/images/"
)


class Picture(NamedTuple):
    """One image and its objects as the JSON has them, the boxes with continuous corners."""

    file: str
    id: int
    width: int
    height: int
    boxes: Float32[np.ndarray, "N 4"]
    labels: Int32[np.ndarray, "N"]
    crowd: Bool[np.ndarray, "N"]
    shapes: tuple[outlines.Polygons | outlines.Runs | None, ...]


@dataclasses.dataclass(frozen=True)
class CocoImages:
    """Images with boxes float32 [N, 4] (x0, y0, x1, y1), labels int32 [N] (from 1; 0 is background), crowd bool [N].

    Where the set has masks, also masks: bool [N, H, W], or not yet drawn (`Outlines`) from `encoded`. `category_ids`
    are those of labels 1, 2, … and `pictures[i].id` is the image's: what results in COCO's format need.
    """

    pictures: tuple[Picture, ...]
    category_ids: tuple[int, ...]
    has_masks: bool

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        one = self.pictures[index]
        image = decode.Encoded(one.file)
        objects.check_extent(one.file, image, one.width, one.height)
        masks = Outlines(one.shapes, one.width, one.height) if self.has_masks else None
        return objects.annotated(image, one.boxes, one.labels, {"crowd": one.crowd}, masks)

    def extent(self, index: int) -> tuple[int, int]:
        """(width, height) as the JSON says."""
        return self.pictures[index].width, self.pictures[index].height

    def name(self, index: int) -> str:
        return self.pictures[index].file


def load(spec: str) -> Source:
    """`coco:DIR`, as COCO itself is laid out, or as annotation tools export a set; see `_found`.

    With a single JSON, "trainval" is all of it and "train" lacks a fixed tenth, "val". Labels 1, 2, … follow the sorted
    category ids. Raises ValueError where there is nothing to read or the splits differ in categories.
    """
    root = specs.path(spec)
    parts = {split: _read(file, folders) for split, (file, folders) in _found(spec, root).items()}
    if "train" not in parts:
        raise ValueError(f"--data={spec}: no annotations to train on under {str(root)!r}; {_LAYOUT}")
    categories = parts["train"][1]
    for split, (_, other) in parts.items():
        if other != categories:
            raise ValueError(f"--data={spec}: {split} and train have different categories; give both the same list")
    splits: dict[str, Records] = {split: records for split, (records, _) in parts.items()}
    if list(splits) == ["train"]:
        splits["trainval"] = splits["train"]
    return Source(with_val(splits), ("background", *categories.values()))


def _found(spec: str, root: pathlib.Path) -> dict[str, tuple[pathlib.Path, list[pathlib.Path]]]:
    """The JSON file of each split, and in which folders to look for its images.

    Known are annotations/instances_NAME.json, NAME/_annotations.coco.json (NAME starts with train, val or test; any
    other is to train on, and of several years the last counts), and a single JSON in DIR.
    """
    found: dict[str, tuple[pathlib.Path, list[pathlib.Path]]] = {}
    for file in sorted([*root.glob("annotations/instances_*.json"), *root.glob("*/_annotations.coco.json")]):
        name = file.stem.removeprefix("instances_") if file.parent.name == "annotations" else file.parent.name
        split = next((known for known in _SPLITS if name.startswith(known)), "train")
        found[split] = file, [root / name, root / "images" / name, root / "images", root]
    single = sorted(root.glob("*.json"))
    if not found and len(single) == 1:
        found["train"] = single[0], [root / "images", root]
    if not found:
        raise ValueError(f"--data={spec}: {'no' if not single else 'several'} JSON files there; {_LAYOUT}")
    return found


def _read(file: pathlib.Path, folders: list[pathlib.Path]) -> tuple[CocoImages, dict[int, str]]:
    """The records of one JSON file, and its categories by id."""
    try:
        tree = json.loads(file.read_bytes())
        categories = {int(one["id"]): str(one["name"]) for one in sorted(tree["categories"], key=lambda one: one["id"])}
        labels = {number: label for label, number in enumerate(categories, 1)}
        by_image: dict[int, list[dict[str, Any]]] = {one["id"]: [] for one in tree["images"]}
        for one in tree["annotations"]:
            by_image[one["image_id"]].append(one)
        folder = _folder(folders, tree["images"])
        pictures = tuple(_picture(one, by_image[one["id"]], labels, folder) for one in tree["images"])
    except KeyError as error:
        raise ValueError(f"{file}: lacks {error}, or refers to an id {error} that it does not define") from None
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise ValueError(f"{file}: not COCO's format: {error}") from None
    return CocoImages(pictures, tuple(categories), _any_masks(file, pictures)), categories


def _picture(
    image: Mapping[str, Any], annotations: list[dict[str, Any]], labels: Mapping[int, int], folder: pathlib.Path
) -> Picture:
    boxes = np.array([one["bbox"] for one in annotations], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return Picture(
        os.path.join(folder, image["file_name"]),
        image["id"],
        int(image["width"]),
        int(image["height"]),
        boxes.astype(np.float32),
        np.array([labels[one["category_id"]] for one in annotations], np.int32),
        np.array([bool(one.get("iscrowd", 0)) for one in annotations], np.bool_),
        tuple(outlines.read(one.get("segmentation")) for one in annotations),
    )


def _folder(folders: list[pathlib.Path], images: list[dict[str, Any]]) -> pathlib.Path:
    """The folder that holds the first image that is there at all; where none is, reading them will say so."""
    return next((f for one in images for f in folders if (f / one["file_name"]).is_file()), folders[0])


def _any_masks(file: pathlib.Path, pictures: tuple[Picture, ...]) -> bool:
    lacking = [shape is None for one in pictures for shape in one.shapes]
    if any(lacking) and not all(lacking):
        logging.warning(
            "%s: %d of %d objects have no outline; mask losses ignore them", file, sum(lacking), len(lacking)
        )
    return not all(lacking)
