"""Label maps in colours have the classes of their labelmap.txt."""

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import sources
from jaxvision.data.label_colours import coloured_label_map, read_colours

LIST = (
    "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\nignored:224,224,192::\ndog:0,128,0:head:sit\n"
)
PIXELS = np.array([[[0, 0, 0], [128, 0, 0]], [[0, 128, 0], [224, 224, 192]]], np.uint8)


def test_colours_are_classes(tmp_path):
    assert read_colours(tmp_path) is None
    (tmp_path / "labelmap.txt").write_text(LIST)
    colours = read_colours(tmp_path)
    assert colours is not None and colours.names == ("background", "cat", "dog")
    file = str(tmp_path / "a.png")
    for image in (Image.fromarray(PIXELS), Image.fromarray(PIXELS).convert("P", palette=Image.Palette.ADAPTIVE)):
        image.save(file)
        assert coloured_label_map(file, colours).tolist() == [[0, 1], [2, 255]]
    Image.fromarray(np.array([[0, 2]], np.uint8)).save(file)
    assert coloured_label_map(file, colours).tolist() == [[0, 2]]
    Image.new("RGB", (2, 2), (1, 2, 3)).save(file)
    with pytest.raises(ValueError, match=r"a.png: has the colour 1, 2, 3, which labelmap.txt lacks$"):
        coloured_label_map(file, colours)
    with pytest.raises(ValueError, match=r"none.png: No such file or directory$"):
        coloured_label_map(str(tmp_path / "none.png"), colours)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cat\ndog", "'cat' is not NAME:R,G,B"),
        ("cat:1,2\ndog:1,2,3", "'cat:1,2' is not NAME:R,G,B"),
        ("cat:1,2,3\ndog:1,2,3", "'dog:1,2,3' repeats a name or a colour"),
        ("cat:1,2,3\n", "has 1 classes; it needs 2 to 255"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(tmp_path, text, reason):
    (tmp_path / "labelmap.txt").write_text(text)
    with pytest.raises(ValueError, match=f"labelmap.txt: {reason}"):
        read_colours(tmp_path)


def test_the_list_of_camvid_as_cvat_writes_it_is_read(tmp_path):
    (tmp_path / "label_colors.txt").write_text(
        "0 0 0 background\n128 0 0 cat\n0 128 0 traffic light\n224 224 192 ignored\n"
    )
    for folder in ("default", "defaultannot"):
        (tmp_path / folder).mkdir()
    for stem in "ab":
        Image.new("RGB", (2, 2)).save(tmp_path / "default" / f"{stem}.jpg")
        Image.fromarray(PIXELS).save(tmp_path / "defaultannot" / f"{stem}.png")
    source = sources.load(f"masks:{tmp_path}", "label_maps")
    assert source.class_names == ("background", "cat", "traffic light") and len(source["all"]) == 2
    assert source["all"][1]["label_map"].tolist() == [[0, 1], [2, 255]]
    (tmp_path / "label_colors.txt").write_text("0 0 background\n")
    with pytest.raises(ValueError, match="label_colors.txt: '0 0 background' is not R G B NAME"):
        read_colours(tmp_path)


@pytest.mark.parametrize("kind", ["masks", "voc"])
def test_an_export_of_cvat_is_read(tmp_path, kind):
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "labelmap.txt").write_text(LIST)
    (tmp_path / "ImageSets" / "Segmentation" / "default.txt").write_text("a\nb\n")
    for stem in "ab":
        Image.new("RGB", (2, 2)).save(tmp_path / "JPEGImages" / f"{stem}.jpg")
        Image.fromarray(PIXELS).save(tmp_path / "SegmentationClass" / f"{stem}.png")
    source = sources.load(f"{kind}:{tmp_path}", "label_maps")
    assert source.class_names == ("background", "cat", "dog") and len(source["all"]) == 2
    assert source["all"][1]["label_map"].tolist() == [[0, 1], [2, 255]]
