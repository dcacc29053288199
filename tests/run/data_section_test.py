"""The section about the data: every class with its count, and everything that was left out."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxvision.run.data_section import section
from tests.viz.tags import Tags


def split(name: str, **fields: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {"origin": "", "images": 9, "read": 9, "classes": [0, 4, 2], "sizes": [[10, 20]] * 3}
    defaults |= {"sizes_of": 9, "empty": 3, "areas": [1, 2, 3], "unreadable": []}
    return {"name": name, **defaults, **fields}


def document(unit: str, *splits: dict[str, Any], **fields: Any) -> dict[str, Any]:
    source = {"data": "coco:<here>", "unit": unit, "class_names": ["background", "cat & co", "dog"]}
    source |= {"splits": list(splits), "left_out": [], "left_out_count": 0, **fields}
    return {"sources": [source], "pictures": [], "findings": {}, "remark": ""}


def test_objects_by_class_size_and_split(tmp_path: Path):
    text = section("Data", document("objects", split("train", origin="a.json"), split("val", images=90)), tmp_path)
    words = Tags(text).words
    for expected in ("coco:<here>", "cat & co", "4", "10×20", "a.json", "without objects", "6", "objects, train"):
        assert expected in words, expected
    assert "background" not in words
    assert "objects, val of 9 images" in words  # the figures are of a part
    assert any("of 9 images" in word and "val" in word for word in words)


def test_pixels_are_shares(tmp_path: Path):
    words = Tags(section("Data", document("pixels", split("train", classes=[5, 3, 2])), tmp_path)).words
    assert {"background", "50.00%", "30.00%", "20.00%"} <= set(words)


def test_what_was_left_out_is_listed(tmp_path: Path):
    content = document("objects", split("train", unreadable=["c.jpg: torn"]), left_out=["a: no area"], left_out_count=7)
    content["findings"] = {"b.jpg": "is no image"}
    words = Tags(section("Data", content, tmp_path)).words
    for expected in ("Left out: 7", "a: no area", "and 6 more, in left_out.txt", "c.jpg: torn", "b.jpg: is no image"):
        assert expected in words, expected


def test_pictures_have_a_description_and_a_caption(tmp_path: Path):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a.png")
    content = document("objects", split("train"))
    content["pictures"] = [{"file": "a.png", "caption": "train, batch 1"}, {"file": "gone.png", "caption": "gone"}]
    text = section("Data", content, tmp_path)
    assert text.count("<img") == 1 and "classes: background, cat &amp; co, dog" in text
    assert "train, batch 1" in Tags(text).words


def test_many_classes_are_in_a_table_that_opens(tmp_path: Path):
    names = [f"class {i}" for i in range(50)]
    text = section("Data", document("images", split("train", classes=[1] * 50), class_names=names), tmp_path)
    assert "50 classes" in Tags(text).words and "class 49" in Tags(text).words


def test_nothing_is_said_of_no_data(tmp_path: Path):
    assert section("Data", {}, tmp_path) == ""
