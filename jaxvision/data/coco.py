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

# Ids of COCO's categories. Of 1 … 91, eleven were never annotated.
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
    """One image and its objects as the JSON describes them."""

    file: str  # path of the image
    id: int  # of the image in the JSON
    width: int  # pixels
    height: int  # pixels
    boxes: Float32[np.ndarray, "N 4"]  # (x0, y0, x1, y1) in pixels, continuous
    labels: Int32[np.ndarray, "N"]  # from 1; 0 is background
    crowd: Bool[np.ndarray, "N"]  # True for a group of objects under one annotation
    shapes: tuple[outlines.Polygons | outlines.Runs | None, ...]  # the objects' masks; None for an object without


@dataclasses.dataclass(frozen=True)
class CocoImages:
    """Records of one JSON file.

    A record holds image, boxes float32 [N, 4] (x0, y0, x1, y1), labels int32 [N] (from 1; 0 is background) and crowd
    bool [N]. Where the set has masks, it also holds masks bool [N, H, W]; from `encoded`, not drawn yet (`Outlines`).
    """

    pictures: tuple[Picture, ...]
    category_ids: tuple[int, ...]  # COCO's ids of labels 1, 2, …, for results in COCO's format
    has_masks: bool  # True where at least one object has a mask

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Record:
        return objects.decoded(self.encoded(index))

    def encoded(self, index: int) -> Record:
        """Return record `index` with its image undecoded and its masks undrawn."""
        picture = self.pictures[index]
        image = decode.Encoded(picture.file)
        objects.check_extent(picture.file, image, picture.width, picture.height)
        masks = Outlines(picture.shapes, picture.width, picture.height) if self.has_masks else None
        return objects.annotated(image, picture.boxes, picture.labels, {"crowd": picture.crowd}, masks)

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of an image in pixels, from the JSON."""
        return self.pictures[index].width, self.pictures[index].height

    def name(self, index: int) -> str:
        """Return the path of an image."""
        return self.pictures[index].file


def load(spec: str) -> Source:
    """Read `coco:DIR`, a folder as COCO itself is laid out or as annotation tools export a set.

    The JSON files of the splits are annotations/instances_NAME.json or NAME/_annotations.coco.json, where NAME begins
    with train, val or test. Of a single JSON file in DIR, "trainval" has all images, "val" a fixed tenth of them and
    "train" the others. Labels 1, 2, … follow the sorted category ids.

    Raises ValueError where there is nothing to read or the splits differ in categories.
    """
    root = specs.path(spec)
    parts = {split: _read(file, folders) for split, (file, folders) in _annotation_files(spec, root).items()}
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


def _annotation_files(spec: str, root: pathlib.Path) -> dict[str, tuple[pathlib.Path, list[pathlib.Path]]]:
    """Return the JSON file of each split and the folders that may hold its images, the likeliest first.

    A file whose name begins with no known split is for training. Of several files for one split, such as those of two
    years, the last counts.
    """
    files: dict[str, tuple[pathlib.Path, list[pathlib.Path]]] = {}
    for file in sorted([*root.glob("annotations/instances_*.json"), *root.glob("*/_annotations.coco.json")]):
        name = file.stem.removeprefix("instances_") if file.parent.name == "annotations" else file.parent.name
        split = next((known for known in _SPLITS if name.startswith(known)), "train")
        files[split] = file, [root / name, root / "images" / name, root / "images", root]
    single = sorted(root.glob("*.json"))
    if not files and len(single) == 1:
        files["train"] = single[0], [root / "images", root]
    if not files:
        raise ValueError(f"--data={spec}: {'no' if not single else 'several'} JSON files there; {_LAYOUT}")
    return files


def _read(file: pathlib.Path, folders: list[pathlib.Path]) -> tuple[CocoImages, dict[int, str]]:
    """Read one JSON file; return its records, and the names of its categories by id, in ascending order."""
    try:
        tree = json.loads(file.read_bytes())
        categories = {int(row["id"]): str(row["name"]) for row in sorted(tree["categories"], key=lambda row: row["id"])}
        labels = {number: label for label, number in enumerate(categories, 1)}
        by_image: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in tree["images"]}
        for annotation in tree["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        folder = _folder(folders, tree["images"])
        pictures = tuple(_picture(image, by_image[image["id"]], labels, folder) for image in tree["images"])
    except KeyError as error:
        raise ValueError(f"{file}: lacks {error}, or refers to an id {error} that it does not define") from None
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise ValueError(f"{file}: not COCO's format: {error}") from None
    return CocoImages(pictures, tuple(categories), _any_masks(file, pictures)), categories


def _picture(
    image: Mapping[str, Any], annotations: list[dict[str, Any]], labels: Mapping[int, int], folder: pathlib.Path
) -> Picture:
    boxes = np.array([row["bbox"] for row in annotations], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return Picture(
        os.path.join(folder, image["file_name"]),
        image["id"],
        int(image["width"]),
        int(image["height"]),
        boxes.astype(np.float32),
        np.array([labels[row["category_id"]] for row in annotations], np.int32),
        np.array([bool(row.get("iscrowd", 0)) for row in annotations], np.bool_),
        tuple(outlines.read(row.get("segmentation")) for row in annotations),
    )


def _folder(folders: list[pathlib.Path], images: list[dict[str, Any]]) -> pathlib.Path:
    """Return the first folder that holds one of the images; if none does, the first, and reading an image fails."""
    return next(
        (folder for image in images for folder in folders if (folder / image["file_name"]).is_file()), folders[0]
    )


def _any_masks(file: pathlib.Path, pictures: tuple[Picture, ...]) -> bool:
    lacking = [shape is None for picture in pictures for shape in picture.shapes]
    if any(lacking) and not all(lacking):
        logging.warning(
            "%s: %d of %d objects have no outline; mask losses ignore them", file, sum(lacking), len(lacking)
        )
    return not all(lacking)
