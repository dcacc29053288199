"""COCO's JSON as it is defined, as tools export it, and as it is broken."""

import json
import pathlib
import pickle
import re

import numpy as np
import pytest
from absl import logging
from PIL import Image

from jaxvision.data import coco, outlines

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
    assert records.category_ids == (2, 44) and records.ids == (7, 3)
    record = records[1]
    assert record["boxes"].tolist() == [[1.5, 2, 5.5, 7.25], [15, 5, 20, 10]] and record["boxes"].dtype == np.float32
    assert record["labels"].tolist() == [2, 1] and record["crowd"].tolist() == [False, False]
    assert record["masks"].shape == (2, 10, 20) and record["masks"].dtype == np.bool_
    assert record["masks"][0].sum() == 4 * 5
    assert source.left_out == (f"{tmp_path}/images/3.png, annotation ?: box (4, 4, 4, 7) has no area",)
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
    unsplit = {"all": 12, "train": 10, "trainval": 12, "val": 2}
    assert sizes == ({"train": 12, "val": 2} if len(files) == 2 else unsplit)
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
    for text, reason in (
        ("{", "not COCO's format: Expecting"),
        ("[]", "not COCO's format: it has no list of images"),
        ("{}", "not COCO's format: it has no list of images"),
        ('{"images": {}}', "has no images"),
        ('{"images": 3}', "'images' is not a list"),
        ('{"images": [{"id": 1}]}', "an image has no file_name"),
        ('{"images": [7]}', "an image has no id"),
        ('{"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": 1}]}', "a category has no name"),
        ("[" * 100_000, "not COCO's format: nested too deeply"),
    ):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(ValueError, match=f"^[^\n]+a.json: {reason}[^\n]*$"):
            coco.load(f"coco:{tmp_path}")
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(ValueError, match="a.json is not named like a split"):
        coco.load(f"coco:{tmp_path}")
    write(tmp_path / "annotations" / "instances_val.json", thing(3, 2, [1, 1, 2, 2]))
    source = coco.load(f"coco:{tmp_path}")
    with pytest.raises(ValueError, match="split 'train': this source has val"):
        source["train"]


def test_categories_are_matched_by_name(tmp_path):
    write(tmp_path / "annotations" / "instances_train.json", thing(3, 2, [1, 1, 2, 2]), thing(3, 44, [1, 1, 2, 2]))
    other = [{"id": 2, "name": "fig"}, {"id": 5, "name": "date"}, {"id": 9, "name": "plum"}]
    write(tmp_path / "annotations" / "instances_val.json", thing(3, 2, [1, 1, 2, 2]), categories=other)
    draw(tmp_path / "3.png")
    source = coco.load(f"coco:{tmp_path}")
    assert source.class_names == ("background", "date", "fig")
    assert source["train"][1]["labels"].tolist() == [1, 2] and source["val"][1]["labels"].tolist() == [2]
    write(tmp_path / "annotations" / "instances_val.json", thing(3, 9, [1, 1, 2, 2]), categories=other)
    with pytest.raises(
        ValueError, match=r"instances_val.json: has classes that the training split lacks: plum \(1 obj"
    ):
        coco.load(f"coco:{tmp_path}")


POLYGON = [[2, 1, 12, 1, 12, 9, 2, 9]]
GOOD = {"id": 1, "image_id": 3, "category_id": 2, "bbox": [2, 1, 10, 8], "iscrowd": 0}


@pytest.mark.parametrize(
    "changes",
    [
        {"category_id": "2", "segmentation": None, "iscrowd": None},
        {"image_id": "3", "iscrowd": "0"},
        {"image_id": 3.0, "iscrowd": 0.0},
        {"bbox": None, "segmentation": POLYGON},
        {"bbox": [], "segmentation": POLYGON[0]},
        {"bbox": [], "segmentation": [[[2, 1], [12, 1], [12, 9], [2, 9]]]},
        {"bbox": [], "segmentation": [[2, 1], [12, 1], [12, 9], [2, 9]]},
    ],
)
def test_annotations_are_read_as_they_are_meant(tmp_path, changes):
    write(tmp_path / "a.json", {**GOOD, **changes})
    draw(tmp_path / "3.png")
    source = coco.load(f"coco:{tmp_path}")
    record = source["all"][1]
    assert record["boxes"].tolist() == [[2, 1, 12, 9]] and record["labels"].tolist() == [1]
    assert not record["crowd"].any() and source.left_out == ()
    if "masks" in record:
        assert record["masks"].sum() == 80


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image_id": 99}, "annotation 1: its image_id 99 is not among the images"),
        ({"category_id": 5}, "annotation 1: its category 5 is background, or not defined"),
        ({"bbox": []}, "annotation 1: has neither a box nor an outline"),
        ({"bbox": [1, 2, 3]}, r"annotation 1: its bbox \[1, 2, 3\] is not four numbers"),
        ({"bbox": [5, 5, -3, 2]}, r"annotation 1: box \(5, 5, 2, 7\) has no area"),
        ({"bbox": [float("nan"), 1, 2, 2]}, "is not finite"),
        ({"bbox": [0.1, 0.1, 0.5, 0.5]}, "lies within 0..1: a fraction of the image"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_left_out_and_named(tmp_path, changes, reason):
    write(tmp_path / "a.json", {**GOOD, **changes}, {**GOOD, "id": 2})
    draw(tmp_path / "3.png")
    source = coco.load(f"coco:{tmp_path}")
    assert len(source["all"][1]["boxes"]) == 1
    (line,) = source.left_out
    assert re.search(reason, line)


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([[2, 3, 12, 3, 12, 15, 2]], "7 coordinates are no points"),
        ([[2, 3, float("nan"), 3, 12, 15]], "a coordinate is not finite"),
        ({"size": [20, 10], "counts": [0, 200]}, "run lengths of 10x20, of an image of 20x10"),
        ({"size": [10, 20], "counts": [0, 2**63, 2**63, 200]}, "run lengths are whole numbers from 0 to 200"),
        ({"size": [10, 20], "counts": [0, 100]}, "run lengths that sum up to 100, of 20x10 pixels"),
        ({"size": "x", "counts": [0, 100]}, "its outline cannot be used"),
        ({"counts": [0, 100]}, "not polygons or run lengths"),
        (7, "not a list of polygons"),
    ],
)
def test_an_outline_that_cannot_be_used_leaves_the_box(tmp_path, segmentation, reason):
    write(tmp_path / "a.json", {**GOOD, "segmentation": segmentation}, {**GOOD, "segmentation": POLYGON})
    draw(tmp_path / "3.png")
    source = coco.load(f"coco:{tmp_path}")
    record = source["all"][1]
    assert record["boxes"].tolist() == [[2, 1, 12, 9]] * 2 and record["masks"].any(axis=(1, 2)).tolist() == [
        False,
        True,
    ]
    (line,) = source.left_out
    assert reason in line and "its box is kept, without an outline" in line


@pytest.mark.parametrize("segmentation", [None, [], [[]], {"size": [10, 20], "counts": []}])
def test_no_outline_is_no_fault(tmp_path, segmentation):
    write(tmp_path / "a.json", {**GOOD, "segmentation": segmentation})
    draw(tmp_path / "3.png")
    source = coco.load(f"coco:{tmp_path}")
    assert source.left_out == () and "masks" not in source["all"][1]


@pytest.mark.parametrize("size", [{}, {"width": None, "height": None}, {"width": -1, "height": -1}, {"width": 20.0}])
def test_a_size_that_is_not_known_is_the_files(tmp_path, size):
    write(tmp_path / "a.json", GOOD, images=(3,))
    tree = json.loads((tmp_path / "a.json").read_text())
    tree["images"] = [{"id": 3, "file_name": "3.png", **size}]
    (tmp_path / "a.json").write_text(json.dumps(tree))
    draw(tmp_path / "3.png")
    records = coco.load(f"coco:{tmp_path}").splits["all"]
    assert records.extent(0) == (20, 10) and records[0]["boxes"].tolist() == [[2, 1, 12, 9]]


@pytest.mark.parametrize(
    ("images", "categories", "reason"),
    [
        ([(1, "a.png"), (1, "b.png")], CATEGORIES, "image id 1 belongs to 'a.png' and to 'b.png'"),
        ([(1, "a.png")], [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}], "category id 1 is both 'cat' and 'dog'"),
    ],
)
def test_an_id_that_stands_for_two_things_is_refused(tmp_path, images, categories, reason):
    pictures = [{"id": number, "file_name": name, "width": 20, "height": 10} for number, name in images]
    (tmp_path / "a.json").write_text(json.dumps({"images": pictures, "categories": categories, "annotations": []}))
    with pytest.raises(ValueError, match=reason):
        coco.load(f"coco:{tmp_path}")


def test_there_is_one_background(tmp_path):
    categories = [{"id": 0, "name": "background"}, {"id": 1, "name": "cat"}]
    write(tmp_path / "a.json", {**GOOD, "category_id": 1}, {**GOOD, "category_id": 0}, categories=categories)
    draw(tmp_path / "3.png")
    source = coco.load(f"coco:{tmp_path}")
    assert source.class_names == ("background", "cat") and source["all"][1]["labels"].tolist() == [1]
    assert len(source.left_out) == 1


def test_the_area_that_the_annotation_states_is_kept(tmp_path):
    write(tmp_path / "a.json", {**GOOD, "area": 33.5}, {**GOOD})
    draw(tmp_path / "3.png")
    area = coco.load(f"coco:{tmp_path}")["all"][1]["area"]
    assert area[0] == 33.5 and np.isnan(area[1])


def test_images_are_found_below_the_folder_and_never_guessed(tmp_path):
    write(tmp_path / "annotations" / "instances_default.json", GOOD, images=(3,))
    draw(tmp_path / "images" / "one" / "3.png")
    assert coco.load(f"coco:{tmp_path}").splits["all"].name(0) == str(tmp_path / "images" / "one" / "3.png")
    draw(tmp_path / "images" / "two" / "3.png")
    with pytest.raises(ValueError, match="3.png: .*one/3.png and .*two/3.png are both called so"):
        coco.load(f"coco:{tmp_path}")


@pytest.mark.parametrize(
    "written",
    [
        "images/3.png",
        "..\\images\\3.png",
        "/data/local-files/?d=photos/3.png",
        "/data/local-files/?d=3.png",
        "/data/upload/1/3.png",
    ],
)
def test_label_studio_names_images_in_its_own_ways(tmp_path, written):
    draw(tmp_path / "images" / "3.png")
    box, outline = [1, 1, 4, 4], [[1, 1, 5, 1, 5, 5, 1, 5]]
    content = {
        "images": [{"width": 20, "height": 10, "id": 0, "file_name": written}],
        "categories": [{"id": 0, "name": "fig"}],
        "annotations": [
            {
                "id": 0,
                "image_id": 0,
                "category_id": 0,
                "segmentation": outline,
                "bbox": box,
                "ignore": 0,
                "iscrowd": 0,
                "area": 16,
            }
        ],
        "info": {"contributor": "Label Studio"},
    }
    (tmp_path / "result.json").write_text(json.dumps(content))
    record = coco.load(f"coco:{tmp_path}")["trainval"][0]
    assert record["boxes"].tolist() == [[1, 1, 5, 5]] and record["masks"].sum() == 16


def test_the_vgg_image_annotator_writes_text_ids_and_no_sizes(tmp_path):
    draw(tmp_path / "images" / "a.png")
    content = {
        "images": [{"id": 1, "width": -1, "height": -1, "file_name": "a.png", "license": 0, "date_captured": ""}],
        "categories": [{"supercategory": "fruit", "id": 1, "name": "fig"}],
        "annotations": [
            {
                "id": 0,
                "image_id": "1",
                "category_id": 1,
                "segmentation": [1, 1, 5, 1, 5, 5, 1, 5],
                "area": 16,
                "bbox": [1, 1, 4, 4],
                "iscrowd": 0,
            }
        ],
    }
    (tmp_path / "via_project_coco.json").write_text(json.dumps(content))
    source = coco.load(f"coco:{tmp_path}")
    record = source["trainval"][0]
    assert record["boxes"].tolist() == [[1, 1, 5, 5]] and record["masks"].sum() == 16 and not source.left_out
