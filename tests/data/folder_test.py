import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import decode, folder, sources


def draw(path: pathlib.Path, level: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((10, 12, 3), level, np.uint8)).save(path)


def test_subfolders_are_classes_in_sorted_order(tmp_path):
    for index in range(30):
        for level, name in enumerate(("ant", "Zebra", "bee")):
            draw(tmp_path / name / f"{index:02}.png", 50 * level)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "ant" / "notes.txt").write_text("no image")
    (tmp_path / "ant" / "._00.png").write_bytes(b"resource fork")
    source = folder.load(f"folder:{tmp_path}")
    assert source.class_names == ("Zebra", "ant", "bee")
    assert (len(source["train"]), len(source["val"])) == (81, 9)
    levels = {0: 50, 1: 0, 2: 100}
    for split in ("train", "val"):
        rows = source[split]
        found = {rows[i]["label"] for i in range(len(rows))}
        assert found == {0, 1, 2}
        assert all(rows[i]["image"][0, 0, 0] == levels[rows[i]["label"]] for i in range(len(rows)))
    assert source["train"].name(0) == str(tmp_path / "Zebra" / "00.png")
    assert isinstance(source["val"].encoded(0)["image"], decode.Encoded)


@pytest.mark.parametrize(
    ("held_out", "expected"), [("val", "val"), ("Validation", "val"), ("valid", "val"), ("test", "test")]
)
def test_split_folders(tmp_path, held_out, expected):
    for name in ("cat", "dog"):
        draw(tmp_path / "train" / name / "deeper" / "1.JPG")
        draw(tmp_path / "train" / name / "2.jpeg")
    draw(tmp_path / held_out / "dog" / "1.bmp")
    source = folder.load(f"folder:{tmp_path}")
    assert source.class_names == ("cat", "dog")
    assert len(source["train"]) == 4
    assert len(source["val"]) == 1 and source["val"][0]["label"] == 1
    assert expected in source.splits


def test_wrong_folders_are_one_line(tmp_path):
    cases = {
        tmp_path / "none": "no folder .*none.*expected DIR/CLASS",
        tmp_path: "no images under .*expected DIR/CLASS",
    }
    for path, reason in cases.items():
        with pytest.raises(ValueError, match=f"^--data=folder:{path}: {reason}[^\n]*$"):
            folder.load(f"folder:{path}")
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match="no images under"):
        folder.load(f"folder:{tmp_path}")
    draw(tmp_path / "flat.png")
    with pytest.raises(ValueError, match="no classes to learn, since .* holds images without folders; expected"):
        folder.load(f"folder:{tmp_path}")
    draw(tmp_path / "b" / "train" / "cat" / "1.png")
    draw(tmp_path / "b" / "val" / "cow" / "1.png")
    with pytest.raises(ValueError, match="val/cow is a class that the training folder lacks"):
        folder.load(f"folder:{tmp_path / 'b'}")


def tree(root: pathlib.Path, *names: str) -> None:
    """Draw images; a name that ends in / is an empty folder, and one of no image a text."""
    for name in names:
        if name.endswith("/"):
            (root / name).mkdir(parents=True)
        elif name.endswith((".jpg", ".png")):
            draw(root / name)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("x")


@pytest.mark.parametrize(
    ("names", "classes", "sizes", "left_out"),
    [
        (["control/1.png", "control/2.png", "test/1.png"], ("control", "test"), {"all": 3, "train": 2, "val": 1}, ""),
        (["car/1.png", "train/1.png", "train/2.png"], ("car", "train"), {"all": 3, "train": 2, "val": 1}, ""),
        (["training/a/1.png", "training/b/1.png", "testing/a/1.png"], "ab", {"train": 2, "test": 1, "val": 1}, ""),
        (["Train/a/1.png", "Train/b/1.png", "Valid/a/1.png"], "ab", {"train": 2, "val": 1}, ""),
        (["test/a/1.png", "test/b/1.png"], "ab", {"test": 2, "val": 2}, ""),
        (
            ["trainval/a/1.png", "trainval/b/1.png", "test/a/1.png"],
            "ab",
            {"trainval": 2, "train": 2, "test": 1, "val": 1},
            "",
        ),
        (
            ["train/a/1.png", "train/b/1.png", "val/b/1.png", "test/1.png"],
            "ab",
            {"train": 2, "val": 1},
            "test: a split without folders of classes, so its images are not read",
        ),
        (
            ["train/a/1.png", "train/b/1.png", "val/b/1.png", "more/c/1.png"],
            "ab",
            {"train": 2, "val": 1},
            "more: no split, so its images are not read",
        ),
        (["set/train/a/1.png", "set/train/b/1.png", "set/val/b/1.png"], "ab", {"train": 2, "val": 1}, ""),
        (["set/a/1.png", "set/b/1.png"], "ab", {"all": 2, "train": 1, "val": 1}, ""),
        (
            ["__MACOSX/a/1.txt", ".git/1.png", "empty/", "a/1.png", "b/1.png"],
            "ab",
            {"all": 2, "train": 1, "val": 1},
            "",
        ),
        (
            ["a/1.png", "b/1.png", "1.png"],
            "ab",
            {"all": 2, "train": 1, "val": 1},
            "1 images directly in it have no class",
        ),
        (
            ["a/1.png", "b/1.png", "c/1.raw"],
            "ab",
            {"all": 2, "train": 1, "val": 1},
            "c: 1 files, none of them an image",
        ),
    ],
)
def test_folders_are_splits_or_classes_by_what_lies_below(tmp_path, names, classes, sizes, left_out):
    tree(tmp_path, *names)
    source = folder.load(f"folder:{tmp_path}")
    assert source.class_names == tuple(classes)
    assert {name: len(records) for name, records in source.splits.items()} == sizes
    assert len(source.left_out) == bool(left_out) and left_out in "".join(source.left_out)
    assert set(source.origins) == set(sizes) - {"all"}


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["1.png", "2.png"], "holds images without folders"),
        (["only/1.png", "only/2.png"], "holds one class only, 'only'"),
        (["train/1.png", "val/2.png"], "holds images without folders"),
    ],
)
def test_images_without_classes_are_for_methods_that_need_none(tmp_path, names, reason):
    tree(tmp_path, *names)
    source = sources.load(f"folder:{tmp_path}")
    assert source.num_classes < 2 and len(source["train"]) == len(source["val"]) == 1
    assert source["train"][0]["image"].shape == (10, 12, 3)
    with pytest.raises(
        ValueError, match=f"^--data=folder:[^\n]+: no classes to learn, since [^\n]+ {reason}; expected"
    ):
        sources.load(f"folder:{tmp_path}", "labels")
    if source.class_names:
        assert sources.load(f"folder:{tmp_path}", "labels", few_classes=True).class_names == ("only",)
    else:
        with pytest.raises(ValueError, match="no classes to learn"):
            sources.load(f"folder:{tmp_path}", "labels", few_classes=True)


def test_a_split_of_which_no_image_can_be_read_is_refused(tmp_path):
    tree(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png")
    (tmp_path / "train" / "a" / "1.png").write_text("broken")
    (tmp_path / "val" / "a" / "1.png").write_text("broken")
    assert len(folder.load(f"folder:{tmp_path}")["train"]) == 2
    (tmp_path / "val" / "b" / "1.png").write_text("broken")
    with pytest.raises(
        ValueError, match="no image of 2 in the split 'val' can be read; the first: .*val/a/1.png: not an"
    ):
        folder.load(f"folder:{tmp_path}")


def test_links_are_followed_once(tmp_path):
    tree(tmp_path, "data/a/1.png", "data/b/1.png", "more/2.png")
    os.symlink(tmp_path / "data", tmp_path / "data" / "self")
    os.symlink(tmp_path / "data" / "b", tmp_path / "data" / "a" / "other")
    os.symlink(tmp_path / "data" / "b", tmp_path / "data" / "same")
    os.symlink(tmp_path / "more", tmp_path / "data" / "a" / "more")
    source = folder.load(f"folder:{tmp_path / 'data'}")
    assert source.class_names == ("a", "b")
    rows = [source["all"][i]["label"] for i in range(len(source["all"]))]
    assert rows == [0, 0, 1]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["annotations/instances_train2017.json", "train2017/1.jpg", "val2017/1.jpg"], "coco"),
        (["images/train/1.jpg", "images/val/2.jpg", "labels/train/1.txt", "data.yaml"], "yolo"),
        (["images/1.png", "masks/1.png"], "masks"),
        (["train/images/1.png", "train/labels/1.png"], "masks"),
    ],
)
@pytest.mark.parametrize("needs", ["labels", None])
def test_the_parts_of_another_format_are_no_classes(tmp_path, names, kind, needs):
    tree(tmp_path, *names)
    if needs is None and kind == "coco":
        assert sources.load(f"folder:{tmp_path}").num_classes == 0
        return
    with pytest.raises(ValueError, match=f"^--data=folder:[^\n]+; this is [^\n]+: --data={kind}:{tmp_path}$"):
        sources.load(f"folder:{tmp_path}", needs)
