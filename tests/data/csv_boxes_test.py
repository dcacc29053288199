"""Boxes in CSV files, one a line."""

import pathlib

import pytest
from PIL import Image

from jaxvision.data import csv_boxes

HEAD = "filename,xmin,ymin,xmax,ymax,class\n"


def make(root: pathlib.Path, images: tuple[str, ...] = ("a.png", "b.png"), **files: str) -> str:
    """Write images and CSV files (a slash is written as __)."""
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10)).save(root / name)
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return f"csv:{root}"


@pytest.mark.parametrize(
    "text",
    [
        "a.png,1,2,9,8,dog\nb.png,,,,,\na.png,3,3,25,9,cat\n",
        "\ufefffilename,xmin,ymin,xmax,ymax,class\r\na.png,1,2,9,8,dog\r\nb.png,,,,,\r\n\r\na.png,3,3,25,9,cat\r\n",
        "filename;class;x;y;w;h\na.png;dog;1;2;8;6\nb.png;;;;;\na.png;cat;3;3;22;6\n",
        'filename,width,height,class,xmin,ymin,xmax,ymax\n"a.png",20,10,dog,1,2,9,8\nb.png,20,10,,,,,\n'
        "a.png,20,10,cat,3,3,25,9\n",
    ],
)
def test_boxes_and_images_without_objects(tmp_path, text):
    make(tmp_path, boxes=text)
    source = csv_boxes.load(f"csv:{tmp_path}/boxes.csv")
    records = source["trainval"]
    assert source.class_names == ("background", "cat", "dog") and source.left_out == ()
    assert records.ids == ("a.png", "b.png") and source.origins["trainval"] == "boxes.csv"
    assert records[0]["boxes"].tolist() == [[1, 2, 9, 8], [3, 3, 20, 9]] and records[0]["labels"].tolist() == [2, 1]
    assert records[1]["boxes"].shape == (0, 4) and records.extent(1) == (20, 10)


@pytest.mark.parametrize(
    ("files", "images", "splits"),
    [
        (("train", "val"), ("t.png", "v.png"), {"train", "val"}),
        (("train_labels", "test_labels"), ("images/train/t.png", "images/test/v.png"), {"train", "val", "test"}),
        (("train___annotations", "valid___annotations"), ("train/t.png", "valid/v.png"), {"train", "val"}),
        (("Train", "Validation", "classes"), ("images/t.png", "images/v.png"), {"train", "val"}),
    ],
)
def test_a_file_for_each_split(tmp_path, files, images, splits):
    texts = [HEAD + "t.png,1,1,9,9,cat\n", HEAD + "v.png,1,1,9,9,cat\n", "cat,0\n"]
    source = csv_boxes.load(make(tmp_path, images, **dict(zip(files, texts, strict=False))))
    assert set(source.splits) == splits
    for split in splits:
        assert source[split][0]["labels"].tolist() == [1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a.png,1,2,9,dog", "line 3: has 5 of 6 columns"),
        (",1,2,9,8,dog", "line 3: has no path of an image"),
        ("a.png,1,2,,8,dog", "line 3 (a.png): its box (1, 2, , 8) is not four numbers"),
        ("a.png,1,2,x,8,dog", "line 3 (a.png): its box (1, 2, x, 8) is not four numbers"),
        ("a.png,1,2,nan,8,dog", "line 3 (a.png): box (1, 2, nan, 8) is not finite"),
        ("a.png,9,2,1,8,dog", "line 3 (a.png): box (9, 2, 1, 8) has no area"),
        ("a.png,1,2,9,8,", "line 3 (a.png): a box without a class"),
        ("a.png,,,,,dog", "line 3 (a.png): dog without a box"),
        ("b.png,1,2,9,8,cat,more", ""),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path, line, reason):
    make(tmp_path, boxes=f"{HEAD}a.png,1,2,9,8,cat\n{line}\n")
    source = csv_boxes.load(f"csv:{tmp_path}")
    assert source.left_out == ((f"{tmp_path}/boxes.csv, {reason}",) if reason else ())
    assert source.class_names == ("background", "cat")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "^--data={}: no CSV files under [^\n]+; expected [^\n]+$"),
        ({"a": ""}, "^--data={}: a.csv is empty; expected [^\n]+$"),
        ({"a": "x,y\n1,2\n"}, "^--data={}: a.csv: cannot tell its columns; expected [^\n]+$"),
        ({"a": HEAD, "b": HEAD}, "^--data={}: a.csv is not named like a split [^\n]+csv:FILE$"),
        ({"a": HEAD + "x" * 200_000}, "^[^\n]+a.csv: not a CSV file: field larger than field limit [^\n]+$"),
        ({"a": HEAD + "a.png,,,,,\n"}, "^a.csv: no object that can be used$"),
        ({"a": HEAD + "a.png,.1,.1,.5,.5,cat\n"}, "fractions of the image"),
        ({"train": HEAD + "a.png,1,1,5,5,cat\n", "val": HEAD + "b.png,1,1,5,5,cow\n"}, "^val.csv: has classes that"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, files, reason):
    spec = make(tmp_path, **files)
    with pytest.raises(ValueError, match=reason.replace("{}", spec)):
        csv_boxes.load(spec)
