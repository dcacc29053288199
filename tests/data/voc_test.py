import pathlib
import pickle

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import pipeline, voc
from jaxvision.data.canvas import canvases
from jaxvision.data.objects import VOC_NAMES
from jaxvision.data.records import NOTE, Source

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def thing(name: str, *box: float, difficult: int | None = 0) -> str:
    flag = "" if difficult is None else f"<difficult>{difficult}</difficult>"
    # Parts, such as a person's head, have boxes of their own that are not the object's.
    part = f"<part><name>head</name>{BOX.format(1, 1, 2, 2)}</part>"
    return f"<object><name>{name}</name>{flag}{part}{BOX.format(*box)}</object>"


def write(
    root: pathlib.Path, item: str, *things: str, size: tuple[int, int] = (20, 10), said: tuple[int, int] | None = None
) -> None:
    """An image of `size` (width, height) and its annotation, which says `said`."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), 90, np.uint8)).save(root / "JPEGImages" / f"{item}.png")
    width, height = said or size
    (root / "Annotations" / f"{item}.xml").write_text(
        f"<annotation><size><width>{width}</width><height>{height}</height></size>{''.join(things)}</annotation>"
    )


def lists(root: pathlib.Path, **splits: str) -> None:
    for split, items in splits.items():
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text(items.replace(" ", "\r\n") + "\r\n")


def test_corners_count_from_one_and_are_converted_once(tmp_path):
    write(tmp_path, "a", thing("dog", 1, 1, 20, 10), thing("cat", 3, 4, 5, 8, difficult=1))
    write(tmp_path, "b", thing("person", "2.5", " 1 ", 4.0, 3, difficult=None))
    lists(tmp_path, train="a", val="b")
    source = voc.load(f"voc:{tmp_path}")
    assert source.class_names == ("background", *VOC_NAMES) and source.num_classes == 21
    record = source["train"][0]
    assert record["boxes"].tolist() == [[0, 0, 20, 10], [2, 3, 5, 8]] and record["boxes"].dtype == np.float32
    assert record["labels"].tolist() == [12, 8] and record["labels"].dtype == np.int32
    assert record["difficult"].tolist() == [False, True]
    assert record["image"].shape == (10, 20, 3) and NOTE not in record
    other = pickle.loads(pickle.dumps(source["val"]))[0]
    assert other["boxes"].tolist() == [[1.5, 0, 4, 3]] and other["difficult"].tolist() == [False]
    assert source["val"].name(0) == str(tmp_path / "JPEGImages" / "b.png")


def test_images_without_objects_are_records(tmp_path):
    write(tmp_path, "a")
    write(tmp_path, "b", thing("ant", 1, 1, 2, 2))
    lists(tmp_path, train="a", val="b")
    record = voc.load(f"voc:{tmp_path}")["train"][0]
    assert record["boxes"].shape == (0, 4) and record["labels"].shape == record["difficult"].shape == (0,)


def test_boxes_outside_the_image_are_dropped_and_named(tmp_path):
    boxes = [(5, 5, 5, 5), (9, 2, 4, 8), (30, 1, 40, 5), (3, 8, 9, 8)]
    write(tmp_path, "a", thing("ant", 4, 4, 8, 8), *(thing("ant", *box) for box in boxes), thing("bee", 0, -3, 99, 5))
    lists(tmp_path, train="a", val="a")
    records = voc.load(f"voc:{tmp_path}")["train"]
    # One pixel is a box; corners that were drawn from right to left are put in order; what is beyond the edge is cut.
    expected = [[3, 3, 8, 8], [4, 4, 5, 5], [3, 1, 9, 8], [2, 7, 9, 8], [0, 0, 20, 5]]
    assert records[0]["boxes"].tolist() == expected and records[0]["labels"].tolist() == [1, 1, 1, 1, 2]
    assert records[0][NOTE] == "dropped 1 of 6 boxes, without area inside the image: object 4 (29 0 40 5)"
    transform = canvases(10, 20).evaluate(6)
    iterator = pipeline.evaluate(records, transform, 1)(0, 1)
    batch = next(iterator)
    assert (
        batch["valid"].sum() == 5 and batch["_mask"].all() and not [key for key in batch if key in ("_note", "_index")]
    )
    assert list(iterator.notes) == [records.name(0)] and not iterator.skipped
    with pytest.raises(ValueError, match=r"^\S+a.png: dropped 1 of 6 boxes[^\n]+$"):
        next(pipeline.train(records, transform, 1, seed=0, strict=True)(0, 1))


def test_classes_other_than_vocs_are_sorted(tmp_path):
    write(tmp_path, "a", thing("dog", 1, 1, 5, 5), thing("Zebra", 1, 1, 5, 5))
    write(tmp_path, "b", thing("axolotl", 1, 1, 5, 5))
    lists(tmp_path, train="a", val="b")
    source = voc.load(f"voc:{tmp_path}")
    assert source.class_names == ("background", "Zebra", "axolotl", "dog")
    assert source["train"][0]["labels"].tolist() == [3, 1]


def test_splits_are_the_lists_there_are(tmp_path):
    root = tmp_path / "VOCdevkit" / "VOC2007"
    for index in range(20):
        write(root, f"{index:02}", thing("dog", 1, 1, 5, 5))
    for path in (root, root.parent, tmp_path):
        sizes = {name: len(split) for name, split in voc.load(f"voc:{path}").splits.items()}
        assert sizes == {"all": 20, "train": 18, "val": 2}
    lists(root, trainval="00 01 02 03", test="04 05")
    sizes = {name: len(split) for name, split in voc.load(f"voc:{root}").splits.items()}
    assert sizes == {"train": 4, "trainval": 4, "test": 2, "val": 2}
    lists(root, val="03")
    source = voc.load(f"voc:{root}")
    assert len(source["train"]) == 3 and "03" not in {pathlib.Path(source["train"].name(i)).stem for i in range(3)}
    write(root.parent / "VOC2012", "a", thing("dog", 1, 1, 5, 5))
    with pytest.raises(ValueError, match=r"^--data=voc:\S+: holds several; say which, like voc:\S+/VOC2007$"):
        voc.load(f"voc:{tmp_path}")


def test_what_cannot_be_read_is_named_when_it_is_asked_for(tmp_path):
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb">]><annotation><object><name>&b;</name></object></annotation>'
    write(tmp_path, "good", thing("ant", 1, 1, 5, 5))
    write(tmp_path, "turned", thing("ant", 1, 1, 5, 5), said=(10, 20))
    write(tmp_path, "bomb")
    (tmp_path / "Annotations" / "bomb.xml").write_text(bomb)
    write(tmp_path, "torn")
    (tmp_path / "Annotations" / "torn.xml").write_text("<annotation><obj")
    lists(tmp_path, train="good turned bomb torn absent", val="good")
    source = voc.load(f"voc:{tmp_path}")
    records = source["train"]
    assert records[0]["labels"].tolist() == [1]
    reasons = (
        "turned.png: annotated as 10x20, but it is 20x10 .the annotations ignore",
        "bomb.xml: has a document type",
        "torn.xml: unclosed token",
        "absent.xml: No such file",
    )
    for index, reason in enumerate(reasons, 1):
        with pytest.raises(ValueError, match=f"^[^\n]*{reason}[^\n]*$"):
            records[index]
    assert [line.partition(": ")[0][-8:] for line in source.left_out] == ["bomb.xml", "torn.xml", "sent.xml"]
    assert canvases(10, 20, 2).groups(records).tolist() == [0, 1, 0, 0, 0]


def test_an_annotation_without_a_size_takes_the_files(tmp_path):
    write(tmp_path, "a", thing("ant", 1, 1, 5, 5), size=(7, 30), said=(0, 0))
    lists(tmp_path, train="a", val="a")
    records = voc.load(f"voc:{tmp_path}")["train"]
    assert records.extent(0) == (7, 30) and records[0]["boxes"].tolist() == [[0, 0, 5, 5]]


def test_folders_of_another_layout_are_one_line(tmp_path):
    for name in ("", "a.png"):
        if name:
            Image.new("L", (2, 2)).save(tmp_path / name)
        with pytest.raises(ValueError, match="^--data=voc:[^\n]+: not the layout of VOC; expected [^\n]+$"):
            voc.load(f"voc:{tmp_path}")
    write(tmp_path, "a")
    with pytest.raises(ValueError, match="^--data=voc:[^\n]+: no object in any annotation [^\n]+$"):
        voc.load(f"voc:{tmp_path}")


def rename(root: pathlib.Path, **folders: str) -> None:
    for old, new in folders.items():
        (root / old).rename(root / new)


def images(source: Source) -> dict[str, list[str]]:
    """The names of each split's images."""
    return {
        split: [pathlib.Path(records.name(i)).name for i in range(len(records))]
        for split, records in source.splits.items()
    }


@pytest.mark.parametrize(
    ("texts", "splits", "origins"),
    [
        (
            {"Train": "a\nb\n", "Validation": "c\n"},
            {"train": ["a.png", "b.png"], "val": ["c.png"]},
            {"train": "ImageSets/Main/Train.txt", "val": "ImageSets/Main/Validation.txt"},
        ),
        (
            {"train": "a\nb\n", "valid": "\ufeffc.png\r\n", "dog_train": "a 1\nb -1\n"},
            {"train": ["a.png", "b.png"], "val": ["c.png"]},
            {"train": "ImageSets/Main/train.txt", "val": "ImageSets/Main/valid.txt"},
        ),
        (
            {"train": "a.jpg\nJPEGImages/b.jpg\n", "val": "img 1\n"},
            {"train": ["a.png", "b.png"], "val": ["img 1.png"]},
            {"train": "ImageSets/Main/train.txt", "val": "ImageSets/Main/val.txt"},
        ),
        (
            {"train": "a\nb\nc\n", "test": "img\n"},
            {"train": ["a.png", "b.png", "c.png"], "test": ["img.png"], "val": ["img.png"]},
            {
                "train": "ImageSets/Main/train.txt",
                "test": "ImageSets/Main/test.txt",
                "val": "the test split, ImageSets/Main/test.txt",
            },
        ),
        (
            {"train": "a\nb\n", "val": "b\nc\n"},
            {"train": ["a.png", "b.png"], "val": ["b.png", "c.png"]},
            {
                "train": "ImageSets/Main/train.txt",
                "val": "ImageSets/Main/val.txt (1 of its images also in ImageSets/Main/train.txt)",
            },
        ),
        (
            {"default": "a\nb\n", "val": "b\n"},
            {"train": ["a.png"], "val": ["b.png"]},
            {"train": "ImageSets/Main/default.txt less ImageSets/Main/val.txt", "val": "ImageSets/Main/val.txt"},
        ),
        (
            {"test": "a\nb\nc\nimg\nimg 1\n"},
            {name: ["a.png", "b.png", "c.png", "img.png", "img 1.png"] for name in ("test", "val")},
            {"test": "ImageSets/Main/test.txt", "val": "the test split, ImageSets/Main/test.txt"},
        ),
    ],
)
def test_lists_are_read_by_name(tmp_path, texts, splits, origins):
    for item in ("a", "b", "c", "img", "img 1"):
        write(tmp_path, item, thing("dog", 1, 1, 5, 5))
    for name, text in texts.items():
        (tmp_path / "ImageSets" / "Main" / f"{name}.txt").write_bytes(text.encode())
    source = voc.load(f"voc:{tmp_path}")
    assert images(source) == splits and dict(source.origins) == origins and source.left_out == ()


def test_a_list_that_is_empty_or_names_an_image_twice_is_told(tmp_path):
    for item in "abcd":
        write(tmp_path, item, thing("dog", 1, 1, 5, 5))
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("\n")
    lists(tmp_path, train="a b c a")
    source = voc.load(f"voc:{tmp_path}")
    assert len(source["train"]) == 2 and source.origins["val"] == "a random tenth of ImageSets/Main/train.txt"
    assert [line.partition("Main/")[2] for line in source.left_out] == [
        "train.txt: 1 lines name an image a second time",
        "val.txt: the list is empty, so it makes no split",
    ]


@pytest.mark.parametrize("item", ["a.b", "sub/a", "größe 1"])
@pytest.mark.parametrize("ending", [".jpg", ".JPG", ".png"])
def test_images_have_any_extension_and_lie_in_subfolders(tmp_path, item, ending):
    write(tmp_path, "z", thing("dog", 1, 1, 5, 5))
    for folder in ("Annotations", "JPEGImages"):
        (tmp_path / folder / item).parent.mkdir(exist_ok=True)
    image = tmp_path / "JPEGImages" / f"{item}{ending}"
    Image.new("L", (20, 10)).save(image)
    for other in (".json", ".txt"):
        (tmp_path / "JPEGImages" / f"{item}{other}").write_text("{}")
    (tmp_path / "Annotations" / "z.xml").rename(tmp_path / "Annotations" / f"{item}.xml")
    (tmp_path / "JPEGImages" / "z.png").unlink()
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text(item)
    source = voc.load(f"voc:{tmp_path}")
    assert source.splits["train"].name(0) == str(image)
    assert len(source.splits["train"][0]["boxes"]) == 1 and source.left_out == ()


def test_of_several_images_of_a_name_the_xml_says_which(tmp_path):
    write(tmp_path, "a", thing("dog", 1, 1, 5, 5))
    write(tmp_path, "b", thing("dog", 1, 1, 5, 5))
    for item in "ab":
        Image.new("L", (20, 10)).save(tmp_path / "JPEGImages" / f"{item}.jpg")
    file = tmp_path / "Annotations" / "b.xml"
    file.write_text(file.read_text().replace("<size>", "<filename>b.png</filename><size>"))
    lists(tmp_path, train="a b")
    source = voc.load(f"voc:{tmp_path}")
    assert images(source)["all"] == ["a.jpg", "b.png"]
    assert [line.split("JPEGImages/")[1][:15] for line in source.left_out] == ["a.png: not read", "b.jpg: not read"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<object/>", "object 2: has no <name>"),
        ("<object><name>dog</name></object>", "object 2: has no <bndbox>"),
        ("<object><name>dog</name><robndbox><cx>3</cx></robndbox></object>", "object 2: has a rotated box only"),
        ("<object><name>dog</name><bndbox><xmin>3</xmin></bndbox></object>", "object 2: has no <ymin>"),
        (thing("dog", "x", 1, 2, 3), "object 2: its corners x, 1, 2, 3 are not four numbers"),
        (thing("dog", "nan", 1, 2, 3), "is not finite"),
        (thing("dog", 0.1, 0.1, 0.5, 0.5), "lies within 0..1: a fraction of the image"),
        (thing("Background", 1, 1, 5, 5), "object 2: its class 'Background' is the background"),
    ],
)
def test_an_object_that_cannot_be_used_is_left_out_and_named(tmp_path, text, reason):
    write(tmp_path, "a", thing("dog", 1, 1, 5, 5), text)
    lists(tmp_path, train="a", val="a")
    source = voc.load(f"voc:{tmp_path}")
    assert source["train"][0]["boxes"].tolist() == [[0, 0, 5, 5]] and source.class_names[12] == "dog"
    (line,) = source.left_out
    assert line.startswith(f"{tmp_path}/Annotations/a.xml, object 2: ") and reason in line


@pytest.mark.parametrize(
    "size", ["", "<size><width>0</width><height>0</height></size>", "<size><width>x</width></size>"]
)
def test_a_size_that_is_not_known_is_the_files(tmp_path, size):
    write(tmp_path, "a")
    (tmp_path / "Annotations" / "a.xml").write_text(f"<annotation>{size}{thing('ant', 0, 0, 20, 10)}</annotation>")
    lists(tmp_path, train="a", val="a")
    records = voc.load(f"voc:{tmp_path}")["train"]
    assert records.extent(0) == (20, 10) and records[0]["boxes"].tolist() == [[0, 0, 20, 10]] and NOTE not in records[0]


def test_a_set_of_fractions_is_refused(tmp_path):
    write(tmp_path, "a", thing("dog", 0.1, 0.1, 0.5, 0.5))
    with pytest.raises(ValueError, match="every box lies within 0..1: are these fractions"):
        voc.load(f"voc:{tmp_path}")


def test_xml_beside_the_images_and_lower_case_folders(tmp_path):
    for item in "abc":
        write(tmp_path / "x", item, thing("dog", 1, 1, 5, 5))
    rename(tmp_path / "x", Annotations="annotations", JPEGImages="images")
    assert len(voc.load(f"voc:{tmp_path / 'x'}").splits["all"]) == 3
    for file in sorted([*(tmp_path / "x" / "annotations").iterdir(), *(tmp_path / "x" / "images").iterdir()]):
        file.rename(tmp_path / "x" / file.name)
    (tmp_path / "x" / "c.xml").unlink()
    source = voc.load(f"voc:{tmp_path / 'x'}")
    assert images(source)["all"] == ["a.png", "b.png"]
    assert source.left_out == (f"{tmp_path}/x/c.png: has no XML; 1 images have none and are not read",)


def test_splits_are_folders_with_xml_beside_the_images(tmp_path):
    for split, items in (("train", "ab"), ("valid", "c")):
        write(tmp_path / "old" / split, items[0], thing("dog", 1, 1, 5, 5))
        write(tmp_path / "old" / split, items[-1], thing("dog", 1, 1, 5, 5))
        (tmp_path / "new" / split).mkdir(parents=True)
        for file in (tmp_path / "old" / split).glob("*/*.*"):
            file.rename(tmp_path / "new" / split / file.name)
    source = voc.load(f"voc:{tmp_path / 'new'}")
    assert images(source) == {"train": ["a.png", "b.png"], "val": ["c.png"]}
    assert dict(source.origins) == {"train": "train/", "val": "valid/"}


def test_xml_of_one_name_in_two_folders_is_never_mixed_up(tmp_path):
    for folder in ("one", "two"):
        write(tmp_path / folder, "a", thing("dog", 1, 1, 5, 5))
        rename(tmp_path / folder, Annotations="xmls", JPEGImages="photos")
    with pytest.raises(ValueError, match="one/xmls/a.xml and .*two/xmls/a.xml would be of the same images; rename one"):
        voc.load(f"voc:{tmp_path}")
