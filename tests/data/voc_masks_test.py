import pathlib

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import sources
from jaxvision.data.objects import VOC_NAMES


def rows(*values: int) -> np.ndarray:
    """A 3-column label map with one value a row."""
    return np.repeat(np.array(values, np.uint8)[:, None], 3, axis=1)


def write(root: pathlib.Path, **lists: str) -> None:
    for folder in ("Annotations", "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for split, items in lists.items():
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text(items.replace(" ", "\r\n") + "\r\n")
        for item in items.split():
            Image.new("RGB", (3, 2)).save(root / "JPEGImages" / f"{item}.jpg")
            labels = Image.fromarray(rows(20, 255)).convert("P")
            labels.putpalette(list(range(255, -1, -1)) * 3)
            labels.save(root / "SegmentationClass" / f"{item}.png")


def test_voc_lists_its_segmented_images(tmp_path):
    root = tmp_path / "VOCdevkit" / "VOC2012"
    write(root, train="2007_1 2007_2", val="2007_3")
    (root / "SegmentationClass" / "2007_2.png").unlink()
    for path in (root, tmp_path):
        source = sources.load(f"voc:{path}", "label_maps")
        assert source.class_names == ("background", *VOC_NAMES)
        assert {split: len(records) for split, records in source.splits.items()} == {"train": 2, "val": 1}
    assert source["train"][0]["label_map"].tolist() == rows(20, 255).tolist()
    with pytest.raises(ValueError, match="^[^\n]+SegmentationClass/2007_2.png: No such file or directory$"):
        source["train"][1]
    write(tmp_path / "other")
    with pytest.raises(ValueError, match="^--data=voc:[^\n]+: no ImageSets/Segmentation/train.txt; [^\n]+$"):
        sources.load(f"voc:{tmp_path / 'other'}", "label_maps")


@pytest.mark.parametrize("folder", ["SegmentationClassPNG", "SegmentationClass"])
def test_an_export_of_labelme_has_a_list_of_classes_and_no_xml(tmp_path, folder):
    for name in ("JPEGImages", folder):
        (tmp_path / name).mkdir()
    (tmp_path / "class_names.txt").write_text("_background_\ncat\n")
    for stem in "abc":
        Image.new("RGB", (3, 2)).save(tmp_path / "JPEGImages" / f"{stem}.jpg")
        Image.fromarray(rows(0, 1)).save(tmp_path / folder / f"{stem}.png")
    (tmp_path / folder / "a.npy").write_bytes(b"")
    source = sources.load(f"voc:{tmp_path}", "label_maps")
    assert (
        source.class_names == ("_background_", "cat")
        and source.origins["train"] == "all annotations, less a random tenth"
    )
    assert source["all"][1]["label_map"].tolist() == rows(0, 1).tolist()
    assert sources.load(f"masks:{tmp_path}", "label_maps").class_names == ("_background_", "cat")


@pytest.mark.parametrize(
    ("name", "split"), [("Train", "train"), ("default", "all"), ("valid", "val"), ("test", "test")]
)
def test_lists_have_the_names_of_splits(tmp_path, name, split):
    write(tmp_path, **{name: "a b"})
    source = sources.load(f"voc:{tmp_path}", "label_maps")
    assert len(source[split]) == 2 - (split == "train") and source.origins[split].startswith("ImageSets/Segmentation/")
