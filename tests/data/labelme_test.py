"""labelme's JSON as boxes, masks and label maps."""

import json
import pathlib
import re

import numpy as np
import pytest
from absl import logging
from PIL import Image

from jaxvision.data import labelme, sources


def draw(path: pathlib.Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 10)).save(path)


def write(file: pathlib.Path, image: str | None, *shapes: tuple[str, str, list], **more) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    items = [{"label": label, "shape_type": kind, "points": points, "group_id": None} for label, kind, points in shapes]
    about = {
        "version": "5.4",
        "flags": {},
        "imagePath": image,
        "imageData": "AAAA",
        "imageHeight": 10,
        "imageWidth": 20,
    }
    file.write_text("\ufeff" + json.dumps({**about, "shapes": items, **more}))


CAT, DOG = ("cat", "rectangle", [[2, 1], [8, 6]]), ("dog", "polygon", [[4, 2], [12, 2], [12, 8], [4, 8]])


def test_boxes_masks_and_label_maps(tmp_path):
    draw(tmp_path / "a.png")
    write(tmp_path / "a.json", "a.png", DOG, CAT, ("cat", "line", [[1, 1], [5, 5]]))
    source = labelme.load(f"labelme:{tmp_path}")
    assert source.class_names == ("background", "cat", "dog")
    assert source.left_out == (
        f"{tmp_path}/a.json: shape 3 (cat): a line encloses nothing; draw a rectangle, polygon or circle",
    )
    records = source["trainval"]
    record = records[0]
    assert record["boxes"].tolist() == [[4, 2, 12, 8], [2, 1, 8, 6]] and record["labels"].tolist() == [2, 1]
    assert record["masks"].sum(axis=(1, 2)).tolist() == [48, 30] and records.ids == ("a.png",)
    drawn = sources.load(f"labelme:{tmp_path}", "label_maps")
    assert drawn.class_names == source.class_names
    label_map = drawn["trainval"][0]["label_map"]
    assert label_map.dtype == np.uint8 and np.bincount(label_map.ravel()).tolist() == [200 - 62, 30, 32]
    assert drawn["trainval"].extent(0) == (20, 10) and drawn["trainval"].name(0) == f"{tmp_path}/a.png"


@pytest.mark.parametrize(
    ("file", "image", "written"),
    [
        ("a.json", "a.png", "a.png"),
        ("json/a.json", "images/a.png", "..\\images\\a.png"),
        ("labels/a.json", "photos/a.png", "C:\\Users\\x\\a.png"),
        ("a.json", "a.png", "renamed.png"),
        ("a.json", "a.JPG", ""),
        ("a.json", "a.png", None),
    ],
)
def test_the_image_of_a_file(tmp_path, file, image, written):
    draw(tmp_path / image)
    write(tmp_path / file, written, CAT)
    records = labelme.load(f"labelme:{tmp_path}")["trainval"]
    assert pathlib.Path(records.name(0)).resolve() == (tmp_path / image).resolve() and len(records[0]["boxes"]) == 1


def test_folders_are_splits_and_images_without_a_file_are_counted(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: lines.append(text % values))
    for split, count in (("train", 3), ("Validation", 2)):
        for i in range(count):
            draw(tmp_path / split / f"{i}.png")
            write(tmp_path / split / f"{i}.json", f"{i}.png", *([CAT] if i else []))
    draw(tmp_path / "train" / "unlabelled.png")
    source = labelme.load(f"labelme:{tmp_path}")
    assert {split: len(records) for split, records in source.splits.items()} == {"train": 3, "val": 2}
    assert source.origins == {"train": "train", "val": "Validation"} and source["train"].counts().tolist() == [0, 1, 1]
    assert lines == [f"labelme:{tmp_path}: 1 images have no JSON file and are not read"]
    for split, size in (("train", 3), ("val", 2)):
        assert len(labelme.load_label_maps(f"labelme:{tmp_path}")[split]) == size
    write(tmp_path / "Validation" / "2.json", "1.png", DOG)
    with pytest.raises(ValueError, match=r"^Validation: has classes that the training split lacks: dog \(1 objects\)$"):
        labelme.load(f"labelme:{tmp_path}")
    write(tmp_path / "2.json", "1.png", DOG)
    with pytest.raises(ValueError, match="2.json lies in no split's folder, and others do; move it into one$"):
        labelme.load(f"labelme:{tmp_path}")


def test_a_list_of_classes_orders_them_and_says_which_count(tmp_path):
    draw(tmp_path / "a.png")
    write(tmp_path / "a.json", "a.png", CAT, DOG, ("cow", "rectangle", [[0, 0], [5, 5]]))
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\ndog\ncat\n")
    source = labelme.load(f"labelme:{tmp_path}")
    assert source.class_names == ("background", "dog", "cat") and source["trainval"].labels().tolist() == [2, 1]
    assert source.left_out == (f"{tmp_path}/a.json, shape 3 (cow): its label is not in the list of classes",)


def test_files_of_another_kind_are_named_among_labelmes(tmp_path):
    draw(tmp_path / "a.png")
    write(tmp_path / "a.json", "a.png", CAT, ("cat", "rectangle", [[3, 3], [3, 8]]))
    (tmp_path / "b.json").write_text('{"images": []}')
    (tmp_path / "c.json").write_bytes(b"\xff{")
    lines = labelme.load(f"labelme:{tmp_path}").left_out
    assert [
        re.sub(r": (not a file of labelme's): .*", r": \1", line.removeprefix(f"{tmp_path}/")) for line in lines
    ] == [
        "a.json, shape 2 (cat): box (3, 3, 3, 8) has no area",
        "b.json: not a file of labelme's",
        "c.json: not a file of labelme's",
    ]


@pytest.mark.parametrize("text", ["", '{"images": []}', "[]"])
def test_nothing_to_read_is_one_line(tmp_path, text):
    if text:
        (tmp_path / "coco.json").write_text(text)
    with pytest.raises(ValueError, match=f"^--data=labelme:{tmp_path}: no [^\n]+; expected [^\n]+$"):
        labelme.load(f"labelme:{tmp_path}")
