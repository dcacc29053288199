import json
import pathlib
import pickle

import numpy as np
import pytest
from absl import logging
from PIL import Image

from jaxvision.data import coco, outlines
from jaxvision.data.records import NOTE

CATEGORIES = [{"id": 44, "name": "fig"}, {"id": 2, "name": "date"}]


def draw(path: pathlib.Path, size: tuple[int, int] = (20, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), 90, np.uint8)).save(path)


def thing(image: int, category: int, bbox: list[float], **more) -> dict:
    return {"image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0, **more}


def write(file: pathlib.Path, *things: dict, images: tuple[int, ...] = (7, 3), categories: list = CATEGORIES) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pictures = [{"id": number, "file_name": f"{number}.png", "width": 20, "height": 10} for number in images]
    file.write_text(json.dumps({"images": pictures, "annotations": things, "categories": categories}))


def test_the_table_of_cocos_ids_goes_both_ways():
    assert len(coco.COCO_ID_OF_LABEL) == len(coco.COCO_LABEL_OF_ID) == len(coco.COCO_NAMES) == 80
    assert [coco.COCO_LABEL_OF_ID[coco.COCO_ID_OF_LABEL[label]] for label in range(1, 81)] == list(range(1, 81))
    missing = set(range(1, 92)) - set(coco.COCO_LABEL_OF_ID)
    assert missing == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
    by_id = {number: coco.COCO_NAMES[label - 1] for number, label in coco.COCO_LABEL_OF_ID.items()}
    known = {
        1: "person",
        11: "fire hydrant",
        13: "stop sign",
        44: "bottle",
        62: "chair",
        67: "dining table",
        90: "toothbrush",
    }
    assert {number: by_id[number] for number in known} == known


def test_boxes_labels_crowds_and_masks(tmp_path):
    ring = {"size": [10, 20], "counts": [0, 30, 5, 165]}
    write(
        tmp_path / "annotations.json",
        thing(3, 44, [1.5, 2, 4, 5.25], segmentation=[[1.5, 2, 5.5, 2, 5.5, 7.25, 1.5, 7.25]]),
        thing(7, 2, [0, 0, 20, 10], segmentation=ring, iscrowd=1),
        thing(3, 2, [15, 5, 90, 90], segmentation=[[15, 5, 20, 5, 20, 10]]),
        thing(3, 2, [4, 4, 0, 3], segmentation=[[4, 4, 4, 7, 4, 5]]),
    )
    for number in (3, 7):
        draw(tmp_path / "images" / f"{number}.png")
    source = coco.load(f"coco:{tmp_path}")
    assert source.class_names == ("background", "date", "fig")
    records = source["trainval"]
    assert records.category_ids == (2, 44) and [picture.id for picture in records.pictures] == [7, 3]
    record = records[1]
    assert record["boxes"].tolist() == [[1.5, 2, 5.5, 7.25], [15, 5, 20, 10]] and record["boxes"].dtype == np.float32
    assert record["labels"].tolist() == [2, 1] and record["crowd"].tolist() == [False, False]
    assert record["masks"].shape == (2, 10, 20) and record["masks"].dtype == np.bool_
    assert record["masks"][0].sum() == 4 * 5 and record[NOTE].startswith("dropped 1 of 3 boxes")
    crowd = records[0]
    assert crowd["crowd"].tolist() == [True] and crowd["masks"][0].sum() == 195 and not crowd["masks"][0, :5, 3].any()
    lazy = pickle.loads(pickle.dumps(records)).encoded(1)
    assert isinstance(lazy["masks"], outlines.Outlines) and len(lazy["masks"]) == 2
    assert records.extent(1) == (20, 10) and records.name(1) == str(tmp_path / "images" / "3.png")


@pytest.mark.parametrize(
    "files",
    [
        {
            "train": ("annotations/instances_train2017.json", "train2017"),
            "val": ("annotations/instances_val2017.json", "val2017"),
        },
        {
            "train": ("annotations/instances_train.json", "images/train"),
            "val": ("annotations/instances_val.json", "images/val"),
        },
        {"train": ("train/_annotations.coco.json", "train"), "val": ("valid/_annotations.coco.json", "valid")},
        {"train": ("annotations/instances_default.json", "images")},
        {"train": ("labels.json", "")},
    ],
)
def test_layouts_that_tools_write(tmp_path, files):
    for split, (file, folder) in files.items():
        numbers = tuple(range(12)) if split == "train" else (20, 21)
        write(tmp_path / file, thing(numbers[0], 2, [1, 1, 2, 2]), images=numbers)
        for number in numbers:
            draw(tmp_path / folder / f"{number}.png")
    source = coco.load(f"coco:{tmp_path}")
    sizes = {split: len(records) for split, records in source.splits.items()}
    assert sizes == ({"train": 12, "val": 2} if len(files) == 2 else {"train": 10, "trainval": 12, "val": 2})
    for split in sizes:
        for index in range(sizes[split]):
            record = source[split][index]
            assert record["boxes"].shape == (len(record["labels"]), 4) and "masks" not in record


def test_objects_without_outlines_are_told(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: lines.append(text % values))
    whole = [[0, 0, 9, 0, 9, 9]]
    write(
        tmp_path / "a.json", thing(3, 2, [0, 0, 9, 9], segmentation=whole), thing(3, 2, [1, 1, 4, 4], segmentation=[])
    )
    draw(tmp_path / "3.png")
    record = coco.load(f"coco:{tmp_path}")["trainval"][1]
    assert lines == [f"{tmp_path}/a.json: 1 of 2 objects have no outline; mask losses ignore them"]
    assert record["masks"].any(axis=(1, 2)).tolist() == [True, False]


def test_images_that_are_not_as_described_are_named(tmp_path):
    write(tmp_path / "a.json", thing(3, 2, [0, 0, 9, 9]), images=(3, 4, 5))
    draw(tmp_path / "3.png", (20, 11))
    draw(tmp_path / "5.png")
    records = coco.load(f"coco:{tmp_path}")["trainval"]
    with pytest.raises(ValueError, match="3.png: annotated as 20x10, but it is 20x11$"):
        records[0]
    with pytest.raises(ValueError, match="4.png: No such file"):
        records[1]
    assert records[2]["boxes"].shape == (0, 4)


def test_files_of_another_format_are_one_line(tmp_path):
    with pytest.raises(ValueError, match="^--data=coco:[^\n]+: no JSON files there; expected [^\n]+$"):
        coco.load(f"coco:{tmp_path}")
    write(tmp_path / "a.json", thing(3, 9, [0, 0, 9, 9]))
    with pytest.raises(ValueError, match="^[^\n]+a.json: lacks 9, or refers to an id 9 that it does not define$"):
        coco.load(f"coco:{tmp_path}")
    for text, reason in (("{", "not COCO's format: "), ("[]", "not COCO's format: "), ("{}", "lacks 'categories'")):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(ValueError, match=f"^[^\n]+a.json: {reason}[^\n]*$"):
            coco.load(f"coco:{tmp_path}")
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(ValueError, match="several JSON files"):
        coco.load(f"coco:{tmp_path}")
    write(tmp_path / "annotations" / "instances_val.json")
    with pytest.raises(ValueError, match="no annotations to train on"):
        coco.load(f"coco:{tmp_path}")
    write(tmp_path / "annotations" / "instances_train.json", categories=CATEGORIES[:1])
    with pytest.raises(ValueError, match="val and train have different categories"):
        coco.load(f"coco:{tmp_path}")
