"""A format is recognised by the files of a small set."""

import pathlib

import pytest
from PIL import Image

from jaxvision.data.looks_like import looks_like, or_else

LABELME = '{"version": "5", "shapes": [], "imagePath": "a.jpg"}'


def write(root: pathlib.Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith((".jpg", ".png")):
            Image.new("L", (4, 4)).save(root / name)
        else:
            (root / name).write_text(text)


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({"annotations/instances_train2017.json": "", "train2017/a.jpg": ""}, "a COCO folder: --data=coco:"),
        ({"result.json": '{"images": [], "annotations": []}', "images/a.jpg": ""}, "a COCO folder: --data=coco:"),
        ({"train/_annotations.coco.json": "{}", "train/a.jpg": ""}, "a COCO folder: --data=coco:"),
        ({"a.jpg": "", "a.json": LABELME}, "a labelme folder: --data=labelme:"),
        ({"Annotations/a.xml": "<annotation/>", "JPEGImages/a.jpg": ""}, "a VOC folder: --data=voc:"),
        ({"a.xml": "<?xml version='1.0'?><annotation/>", "a.jpg": ""}, "a VOC folder: --data=voc:"),
        ({"data.yaml": "names: [a]", "images/a.jpg": ""}, "a YOLO folder: --data=yolo:"),
        ({"images/a.jpg": "", "labels/a.txt": "0 0.5 0.5 0.1 0.1\n"}, "a YOLO folder: --data=yolo:"),
        ({"images/a.jpg": "", "masks/a.png": ""}, "a folder of label maps: --data=masks:"),
        ({"train/images/a.jpg": "", "train/labels/a.png": ""}, "a folder of label maps: --data=masks:"),
        ({"a.jpg": "", "a_mask.png": ""}, "a folder of label maps: --data=masks:"),
        ({"boxes.csv": "a.jpg,1,1,2,2,cat", "a.jpg": ""}, "a folder with a table: --data=csv:"),
        ({"cat/a.jpg": "", "dog/a.jpg": ""}, "a folder of classes: --data=folder:"),
        ({"train/cat/a.jpg": "", "train/dog/a.jpg": ""}, "a folder of classes: --data=folder:"),
        ({"a.jpg": "", "notes.txt": "5 cats and 3 dogs in it"}, ""),
        ({}, ""),
    ],
)
def test_a_folder_is_recognised(tmp_path, files, hint):
    write(tmp_path, files)
    assert looks_like(tmp_path) == (f"this is {hint}{tmp_path}" if hint else "")


def test_the_kind_that_was_tried_and_a_missing_folder_give_no_hint(tmp_path):
    write(tmp_path, {"a.xml": "<annotation/>", "a.jpg": ""})
    assert or_else(tmp_path, "folder") == f"; this is a VOC folder: --data=voc:{tmp_path}"
    assert looks_like(tmp_path, "voc") == or_else(tmp_path, "voc") == "" and looks_like(tmp_path / "none") == ""


def test_broken_files_are_no_hint(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    (tmp_path / "b.json").write_bytes(b"\xff\xfe")
    (tmp_path / "c.xml").write_bytes(b"\xff")
    assert looks_like(tmp_path) == ""
