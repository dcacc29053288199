import re

import pytest

from jaxvision.data import sources
from tests.data.cases import coco
from tests.data.cases.case import draw, text


def yolo_val_gone(root):
    """YOLO's layout, whose validation images are no images."""
    text(root / "data.yaml", "train: images/train\nval: images/val\nnames: [cat]\n")
    for number in (0, 1):
        draw(root / "images" / "train" / f"{number}.png")
        text(root / "images" / "val" / f"{number}.png", "torn")
        text(root / "labels" / "train" / f"{number}.txt", "0 0.5 0.5 0.2 0.2\n")


def test_embedded_sources_load_by_name():
    assert len(sources.load("digits:count=8")["train"]) == 8
    assert sources.load("scenes:count=4,size=48")["val"][0]["image"].shape == (48, 48, 3)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "cifar",
        "Digits",
        "digits:",
        "folder",
        "folder:",
        "idx:",
        "tfds",
        "voc:",
        "voc:/x",
        "coco",
        "coco:/x",
        "folder:/none",
    ],
)
def test_wrong_names_are_one_line(spec):
    if spec == "digits:":
        sources.load(spec)
        return
    with pytest.raises(ValueError, match=f"^--data={re.escape(spec)}: [^\n]+$"):
        sources.load(spec)


def test_every_source_has_mean_and_std_in_pixel_units():
    for spec in ("digits", "scenes"):
        source = sources.load(spec)
        assert all(1 < value < 255 for value in (*source.mean, *source.std))


def test_a_plus_joins_sets_and_is_otherwise_part_of_a_name():
    assert len(sources.load("scenes:count=3,size=32+scenes:count=5,size=32")["train"]) == 8
    with pytest.raises(ValueError, match=r"^--data=voc:/no\+where: "):
        sources.load("voc:/no+where")


@pytest.mark.parametrize("needs", ["labels", "boxes", "masks", "label_maps"])
def test_sources_without_the_content_are_one_line(needs):
    content = needs.replace("_", " ")
    for spec in (
        "",
        "Scenes",
        "digits" if needs != "labels" else "coco:/x",
        "masks:x" if needs != "label_maps" else "folder:x",
    ):
        with pytest.raises(
            ValueError, match=f"^--data={spec}: no such source of {content}; known are [^\n]+$"
        ) as error:
            sources.load(spec, needs)
        fitting = {row.usage for row in sources.KINDS if needs in row.gives}
        assert all((row.usage in str(error.value)) == (row.usage in fitting) for row in sources.KINDS)


@pytest.mark.parametrize(
    ("spec", "needs", "fits"),
    [
        ("digits", "boxes", "; digits has labels, which fits classification, ssl, gan"),
        ("scenes:count=8", "labels", "; scenes has boxes and masks and label maps, which fits detection, "),
    ],
)
def test_a_source_of_another_kind_says_which_experiments_fit(spec, needs, fits):
    with pytest.raises(ValueError, match=f"^--data={spec}: no such source of {needs}; .*{fits}"):
        sources.load(spec, needs)


@pytest.mark.parametrize("spec", ["masks", "masks:", "voc:", "tfds"])
def test_a_kind_without_its_folder_is_one_line(spec):
    with pytest.raises(ValueError, match=f"^--data={spec}: say which, like {spec.strip(':')}:[^\n]+$"):
        sources.load(spec, "label_maps")


@pytest.mark.parametrize(("content", "key"), [("boxes", "boxes"), ("masks", "masks"), ("label_maps", "label_map")])
def test_scenes_give_what_their_row_says(content, key):
    assert key in sources.load("scenes:count=1,size=32", content)["train"][0]


def test_a_kind_is_opened_by_the_row_that_gives_what_is_needed(tmp_path):
    with pytest.raises(ValueError, match="ImageSets/Segmentation|not the layout of VOC"):
        sources.load(f"voc:{tmp_path}", "label_maps")
    read = {
        needs: next(row.load for row in sources.KINDS if row.name == "voc" and needs in row.gives)
        for needs in ("boxes", "label_maps")
    }
    assert read["boxes"] is not read["label_maps"]


@pytest.mark.parametrize("write", [coco.gone, yolo_val_gone])
def test_a_val_split_without_a_readable_image_is_refused_and_a_made_one_is_not(tmp_path, write):
    kind = "coco" if write is coco.gone else "yolo"
    write(tmp_path)
    with pytest.raises(
        ValueError, match=f"^--data={kind}:[^\n]+: no image of 2 in the split 'val' can be read; the first"
    ):
        sources.load(f"{kind}:{tmp_path}")


def test_a_tenth_that_was_taken_out_may_be_broken(tmp_path):
    coco.write(tmp_path)
    (tmp_path / "images" / "0.png").write_bytes(b"torn")
    source = sources.load(f"coco:{tmp_path}")
    assert source["val"].name(0).endswith("0.png") and len(source["train"][0]["boxes"]) == 1
    for number in (1, 2):
        (tmp_path / "images" / f"{number}.png").write_bytes(b"torn")
    with pytest.raises(ValueError, match="no image of 3 in the split 'all' can be read"):
        sources.load(f"coco:{tmp_path}")
