"""Lines of YOLO's text files, and the images that they belong to."""

import pathlib
import pickle

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import yolo

NAMES = "names: {0: cat, 2: dog}\n"


def make(root: pathlib.Path, labels: dict[str, str], images: tuple[str, ...] = ("a", "b"), yaml: str = NAMES) -> str:
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    (root / "data.yaml").write_text(yaml)
    for name in images:
        Image.new("RGB", (20, 10)).save(root / "images" / f"{name}.png")
    for name, text in labels.items():
        (root / "labels" / f"{name}.txt").write_bytes(text.encode())
    return f"yolo:{root}"


def test_boxes_polygons_and_images_without_objects(tmp_path):
    text = "\ufeff2 0.5 0.5 0.25 0.4\r\n\r\n0 0.1 0.1 0.6 0.1 0.6 0.5 0.1 0.5\r\n"
    source = yolo.load(make(tmp_path, {"a": text}))
    records = source["trainval"]
    assert source.class_names == ("background", "cat", "dog") and source.left_out == ()
    assert records.ids == ("images/a.png", "images/b.png") and records.category_ids == (0, 2)
    record = records[0]
    assert record["boxes"].round(4).tolist() == [[7.5, 3, 12.5, 7], [2, 1, 12, 5]] and record["labels"].tolist() == [
        2,
        1,
    ]
    assert record["masks"].sum(axis=(1, 2)).tolist() == [0, 40]
    assert records[1]["boxes"].shape == (0, 4) and len(pickle.loads(pickle.dumps(records))) == 2
    assert source.origins["trainval"] == "images"


def test_boxes_alone_have_no_masks_and_may_reach_over_the_edge(tmp_path):
    record = yolo.load(make(tmp_path, {"a": "0 0.02 0.5 0.2 1.04"}))["trainval"][0]
    assert "masks" not in record and np.allclose(record["boxes"], [[0, 0, 2.4, 10]])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1 .5 .5 .2 .2", "class 1 has no name"),
        ("-1 .5 .5 .2 .2", "class -1 has no name"),
        ("0.5 .5 .5 .2 .2", "class 0.5 has no name"),
        ("nan .5 .5 .2 .2", "class nan has no name"),
        ("0 .5 .5 .2", "3 coordinates are neither a box (4) nor a polygon of points (6, 8, …)"),
        ("0 .5 .5 .2 .2 .9", "5 coordinates are neither a box (4) nor a polygon of points (6, 8, …)"),
        ("cat .5 .5 .2 .2", "'cat .5 .5 .2 .2' is not a class number and coordinates"),
        ("0 nan .5 .2 .2", "a coordinate is not finite"),
        ("0 .5 .5 1.2 .2", "1.2 is not a fraction of the image (0..1)"),
        ("0 -.3 .5 .2 .2", "-0.3 is not a fraction of the image (0..1)"),
        ("0 .5 .5 0 .2", "box (10, 4, 10, 6) has no area"),
        ("0 .1 .1 .2 .2 .3 .3", ""),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_the_others_stay(tmp_path, line, reason):
    source = yolo.load(make(tmp_path, {"a": f"0 .5 .5 .5 .5\n{line}\n"}))
    assert source.left_out == ((f"{tmp_path}/labels/a.txt, line 2: {reason}",) if reason else ())
    assert len(source["trainval"][0]["boxes"]) == (1 if reason else 2)


def test_key_points_behind_the_box_are_passed_over(tmp_path):
    yaml = NAMES + "kpt_shape: [2, 3]\n"
    record = yolo.load(make(tmp_path, {"a": "0 .5 .5 .2 .2 .4 .4 2 .6 .6 0"}, yaml=yaml))["trainval"][0]
    assert record["boxes"].round(3).tolist() == [[8, 4, 12, 6]] and "masks" not in record


def test_files_that_are_broken_are_named(tmp_path):
    spec = make(tmp_path, {"a": "0 .5 .5 .5 .5"}, ("a", "b", "c"))
    (tmp_path / "labels" / "b.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "images" / "c.png").write_bytes(b"no image")
    source = yolo.load(spec)
    assert source.left_out == (f"{tmp_path}/labels/b.txt: not a text file in UTF-8: invalid start byte",)
    with pytest.raises(ValueError, match="c.png: not an image file"):
        source["trainval"][2]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({}, "no image has a text file of labels"),
        ({"a": "0 12 4 8 6\n0 3 3 4 4"}, "fractions of the image, not pixels"),
    ],
)
def test_a_set_that_is_something_else_is_one_line(tmp_path, labels, reason):
    spec = make(tmp_path, labels)
    with pytest.raises(ValueError, match=f"^--data={spec}: [^\n]*{reason}[^\n]*$"):
        yolo.load(spec)


def test_splits_and_classes_of_one_name(tmp_path):
    for split, count in (("train", 3), ("valid", 2)):
        (tmp_path / split / "images").mkdir(parents=True)
        (tmp_path / split / "labels").mkdir()
        for i in range(count):
            Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(tmp_path / split / "images" / f"{i}.jpg")
            (tmp_path / split / "labels" / f"{i}.txt").write_text(f"{i} .5 .5 .5 .5")
    (tmp_path / "data.yaml").write_text("names: [dog, background, dog]\ntrain: ../train/images\nval: ../valid/images\n")
    source = yolo.load(f"yolo:{tmp_path}/data.yaml")
    assert source.class_names == ("background", "dog") and {k: len(v) for k, v in source.splits.items()} == {
        "train": 3,
        "val": 2,
    }
    assert source["train"].labels().tolist() == [1, 1] and source["train"].category_ids == (0,)
    assert len(source.left_out) == 2 and source.left_out[0].endswith("1.txt, line 1: class 1 has no name")
