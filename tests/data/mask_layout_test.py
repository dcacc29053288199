"""Images and label maps are found in the layouts that tools write."""

import os
import pathlib

import pytest
from PIL import Image

from jaxvision.data.mask_layout import find_pairs


def tree(root: pathlib.Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 3)).save(root / name)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["images/a.jpg", "labels/a.png"], {"train": ("images/a.jpg", "labels/a.png")}),
        (["image/a.jpg", "label/a.png"], {"train": ("image/a.jpg", "label/a.png")}),
        (["Images/a.jpg", "Masks/a.png"], {"train": ("Images/a.jpg", "Masks/a.png")}),
        (["images/a.jpg", "annotations/a.png"], {"train": ("images/a.jpg", "annotations/a.png")}),
        (["images/a.jpg", "masks/a_mask.png"], {"train": ("images/a.jpg", "masks/a_mask.png")}),
        (["images/a.jpg", "labels/a.tif"], {"train": ("images/a.jpg", "labels/a.tif")}),
        (["images/s/a.jpg", "labels/s/a.png"], {"train": ("images/s/a.jpg", "labels/s/a.png")}),
        (["images/a.jpg", "labels/a.jpg", "labels/a.png"], {"train": ("images/a.jpg", "labels/a.png")}),
        (["a.jpg", "a_mask.png"], {"train": ("a.jpg", "a_mask.png")}),
        (
            ["JPEGImages/a.jpg", "SegmentationClass/a.png", "SegmentationObject/a.png"],
            {"train": ("JPEGImages/a.jpg", "SegmentationClass/a.png")},
        ),
        (
            ["train/images/a.jpg", "train/labels/a.png", "valid/images/b.jpg", "valid/labels/b.png"],
            {
                "train": ("train/images/a.jpg", "train/labels/a.png"),
                "val": ("valid/images/b.jpg", "valid/labels/b.png"),
            },
        ),
        (
            [
                "images/training/a.jpg",
                "annotations/training/a.png",
                "images/validation/b.jpg",
                "annotations/validation/b.png",
            ],
            {
                "train": ("images/training/a.jpg", "annotations/training/a.png"),
                "val": ("images/validation/b.jpg", "annotations/validation/b.png"),
            },
        ),
        (
            ["train/a.png", "trainannot/a.png", "val/b.png", "valannot/b.png", "test/c.png", "testannot/c.png"],
            {
                "train": ("train/a.png", "trainannot/a.png"),
                "val": ("val/b.png", "valannot/b.png"),
                "test": ("test/c.png", "testannot/c.png"),
            },
        ),
        (
            ["train/a.jpg", "train/a_mask.png", "test/b.jpg", "test/b_mask.png"],
            {"train": ("train/a.jpg", "train/a_mask.png"), "test": ("test/b.jpg", "test/b_mask.png")},
        ),
        (["test/images/a.jpg", "test/labels/a.png"], {"test": ("test/images/a.jpg", "test/labels/a.png")}),
    ],
)
def test_layouts(tmp_path, names, splits):
    tree(tmp_path, *names)
    found = find_pairs("masks:x", tmp_path)
    paths = {
        split: tuple(os.path.relpath(file, tmp_path) for file in (*pairs.images, *pairs.labels))
        for split, pairs in found.items()
    }
    assert paths == splits and not any(pairs.notes for pairs in found.values())


def test_label_maps_without_an_image_are_told(tmp_path):
    tree(tmp_path, "images/a.jpg", "labels/a.png", "labels/b.png", "labels/c.png")
    assert find_pairs("masks:x", tmp_path)["train"].notes == (
        f"{tmp_path}/labels/b.png: has no image; 2 label maps have none",
    )


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a.jpg"], "no images to train on under"),
        (["images/a.jpg", "labels/a.jpg"], "labels/a.jpg: JPEG does not keep labels; save the label maps as PNG"),
        (["images/a.jpg", "labels/b.png"], "images/a.jpg has no [^\n]+labels/a.png; 1 of 1 have none"),
        (["a.jpg", "b.jpg", "b_mask.png"], "a.jpg has no [^\n]+a_mask.png; 1 of 2 have none"),
        (["images/a.jpg", "images/a.png", "labels/a.png"], "a.jpg and [^\n]+a.png would share a label map"),
        (["cat/a.jpg", "dog/a.jpg"], "no images to train on [^\n]+; this is a folder of classes: --data=folder:"),
    ],
)
def test_what_does_not_match_is_one_line(tmp_path, names, reason):
    tree(tmp_path, *names)
    with pytest.raises(ValueError, match=f"^--data=masks:x: [^\n]*{reason}[^\n]*$"):
        find_pairs("masks:x", tmp_path)
